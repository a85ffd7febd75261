//! What the parser gets, and what the archive keeps, however a source ends.

use super::super::raw::testing::Archive;
use super::*;
use feedfleet_feed::CutOff;

struct Scene {
    archive: Archive,
    fetched: Arc<AtomicU64>,
    cancel: CancellationToken,
}

impl Scene {
    fn new() -> Self {
        let (fetched, cancel) = (Arc::default(), CancellationToken::new());
        Self { archive: Archive::new(), fetched, cancel }
    }

    /// What the parser read, and how the source ended.
    fn pump(&self, input: Input) -> (io::Result<String>, Pumped) {
        let (mut reader, pump) = start(input, self.fetched.clone(), self.cancel.clone());
        let mut text = String::new();
        let read = reader.read_to_string(&mut text).map(|_| text);
        (read, pump.join().unwrap())
    }

    /// What is in the archive, and whether it is all.
    fn archived(&self) -> (String, bool) {
        let text = String::from_utf8(self.archive.read()).unwrap();
        (text, self.archive.look().facts.unwrap().complete)
    }
}

/// Pieces that a fetching task sends before it goes away; `told`: with an end.
fn fetched(pieces: &[&'static str], told: Option<PieceError>, whole: bool) -> Box<dyn Pieces> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    for piece in pieces {
        sender.blocking_send(Ok(Some(Bytes::from(*piece)))).unwrap();
    }
    if let Some(error) = told {
        sender.blocking_send(Err(error)).unwrap();
    }
    if whole {
        sender.blocking_send(Ok(None)).unwrap();
    }
    Box::new(FetchedPieces(receiver))
}

#[test]
fn a_whole_source_is_archived_whole() {
    let scene = Scene::new();
    let pieces = fetched(&["ab", "cd"], None, true);
    let (read, pumped) = scene.pump(Input::Source { pieces, archive: Some(scene.archive.begin()) });
    assert_eq!(read.unwrap(), "abcd");
    assert!(!pumped.has_failed());
    assert_eq!(scene.archived(), ("abcd".to_owned(), true));
    assert_eq!(scene.fetched.load(Ordering::Relaxed), 4);
}

#[test]
fn what_came_of_a_source_that_failed_is_kept() {
    let failed = PieceError::Io(io::Error::other("the disk has gone"));
    for (told, says) in [(None, "given up"), (Some(failed), "the disk has gone")] {
        let scene = Scene::new();
        let pieces = fetched(&["ab", "cd"], told, false);
        let (read, pumped) =
            scene.pump(Input::Source { pieces, archive: Some(scene.archive.begin()) });
        let error = read.expect_err("no failure looks like an end");
        assert!(error.to_string().contains(says), "{error}");
        assert!(pumped.has_failed(), "{pumped:?}");
        assert_eq!(scene.archived(), ("abcd".to_owned(), false));
    }
}

#[test]
fn what_was_cut_short_can_be_used_but_is_not_whole() {
    let scene = Scene::new();
    let pieces = fetched(&["ab"], Some(PieceError::Truncated("cut".to_owned())), false);
    let (read, pumped) = scene.pump(Input::Source { pieces, archive: Some(scene.archive.begin()) });
    let error = read.expect_err("the parser is told");
    assert!(error.get_ref().is_some_and(|e| e.is::<CutOff>()), "{error:?}");
    assert!(matches!(pumped.end, Err(PieceError::Truncated(_))), "{pumped:?}");
    assert_eq!(scene.archived(), ("ab".to_owned(), false));
}

#[test]
fn the_rest_is_archived_and_the_whole_is_read() {
    let scene = Scene::new();
    let pieces = fetched(&["ab"], None, false);
    let (_, pumped) = scene.pump(Input::Source { pieces, archive: Some(scene.archive.begin()) });
    assert!(matches!(pumped.end, Err(PieceError::Stopped)), "{pumped:?}");

    let pieces = fetched(&["cd"], None, true);
    let (read, pumped) = scene.pump(Input::Rest { pieces, archive: scene.archive.resume() });
    assert_eq!(read.unwrap(), "abcd");
    assert!(!pumped.has_failed());
    assert_eq!(scene.archived(), ("abcd".to_owned(), true));
    assert_eq!(scene.fetched.load(Ordering::Relaxed), 4, "what was archived is not fetched");

    let (read, pumped) = scene.pump(Input::Archived(scene.archive.place.open().unwrap()));
    assert_eq!(read.unwrap(), "abcd");
    assert!(!pumped.has_failed());
    assert_eq!(scene.fetched.load(Ordering::Relaxed), 4);
}

#[test]
fn a_cancelled_run_stops() {
    let scene = Scene::new();
    let pieces = fetched(&["ab"], None, true);
    let archive = Some(scene.archive.begin());
    scene.cancel.cancel();
    let (read, pumped) = scene.pump(Input::Source { pieces, archive });
    read.expect_err("it was given up");
    assert!(matches!(pumped.end, Err(PieceError::Stopped)), "{pumped:?}");
}
