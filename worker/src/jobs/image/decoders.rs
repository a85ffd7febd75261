//! The worker's side of decoding: a few children, each with one picture at a time. What a picture may take of
//! memory follows from its header; the children together never have more than their share of the worker's.
//!
//! A child that a picture ends is replaced, and only that picture fails.

use super::draw::Drawn;
use super::fetch::Failure;
use super::frames::{Answer, MAX_LINE_BYTES, Request, Wanted};
use crate::isolate::{self, Program};
use crate::room::Room;
use bytes::Bytes;
use feedfleet_config::{Rendition, Workers};
use feedfleet_model::text;
use feedfleet_pictures::error::PictureError;
use feedfleet_pictures::picture::{self, Needed, Picture};
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Semaphore;

/// No picture that is mirrored takes this long, on a machine with much else to do.
const DRAWN_WITHIN: Duration = Duration::from_secs(30);
/// So much of the share makes for another decoder, as long as there are cores.
const BYTES_PER_DECODER: u64 = 64 << 20;
/// A decoder that had a picture of this size ends after it: allocators keep memory back.
const LARGE_BYTES: u64 = 128 << 20;

/// Children that decode pictures. They are started as they are needed, and stay.
pub struct Decoders {
    program: Program,
    places: Semaphore,
    room: Room,
    idle: Mutex<Vec<Decoder>>,
    within: Duration,
}

impl Decoders {
    /// A worker's: as many as there are cores, image slots and memory for.
    pub fn of_worker(program: Program, workers: &Workers) -> Self {
        let share = workers.memory_shares().picture_bytes;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let by_memory = usize::try_from(share / BYTES_PER_DECODER).unwrap_or(usize::MAX);
        let count = by_memory.min(cores).min(workers.image_slots);
        Self::new(program, count, share, DRAWN_WITHIN)
    }

    fn new(program: Program, count: usize, memory_bytes: u64, within: Duration) -> Self {
        let (places, room) = (Semaphore::new(count.max(1)), Room::new(memory_bytes));
        Self { program, places, room, idle: Mutex::new(Vec::new()), within }
    }

    /// Decodes a picture and makes its renditions, in a child.
    pub(super) async fn draw(
        &self,
        bytes: &Bytes,
        renditions: &[Rendition],
        max_pixels: u64,
    ) -> Result<Drawn, Failure> {
        let needed = picture::needed_bytes(bytes, renditions, max_pixels).map_err(refused)?;
        let Needed { width, height, total_bytes } = needed;
        if total_bytes > self.room.bytes() {
            let max_bytes = self.room.bytes();
            let needed_bytes = total_bytes;
            return Err(refused(PictureError::TooMuchMemory {
                width,
                height,
                needed_bytes,
                max_bytes,
            }));
        }
        // Both in this order everywhere: who has a place in the room has a decoder too.
        let _turn = self.places.acquire().await.expect("the semaphore is never closed");
        let place = self.room.take(total_bytes).await;
        let mut decoder = self.decoder()?;
        let request = Request {
            size_bytes: bytes.len(),
            memory_bytes: usize::try_from(total_bytes).unwrap_or(usize::MAX),
            max_pixels,
            renditions: renditions.iter().map(Wanted::from).collect(),
        };
        let Ok(asked) = tokio::time::timeout(self.within, decoder.ask(&request, bytes)).await
        else {
            isolate::kill(decoder.child).await;
            // It may be the machine that is slow.
            let text = format!("decoding took longer than {}", text::duration(self.within));
            return Err(Failure::passing(text));
        };
        let answered = match asked {
            Ok(answered) => answered,
            Err(trouble) => return Err(decoder.failure(trouble, total_bytes).await),
        };
        if total_bytes < LARGE_BYTES {
            self.lock().push(decoder);
        }
        let picture = answered.map_err(Failure::lasting)?;
        Ok(Drawn { picture, _place: Some(place) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Decoder>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Option<Decoder> {
        self.lock().pop()
    }

    /// An idle child, or a new one.
    fn decoder(&self) -> Result<Decoder, Failure> {
        while let Some(mut decoder) = self.idle() {
            // Whatever ended it while it was idle, it was not the next picture.
            if matches!(decoder.child.try_wait(), Ok(None)) {
                return Ok(decoder);
            }
        }
        Decoder::start(&self.program)
            .map_err(|e| Failure::passing(format!("could not start a decoder: {e}")))
    }
}

fn refused(error: PictureError) -> Failure {
    Failure::lasting(error.to_string())
}

/// A child that decodes. Dropping it kills it.
struct Decoder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What came of asking a decoder: a picture, or why the picture is refused.
type Answered = Result<Picture, String>;

/// Why a decoder did not answer.
enum Trouble {
    /// It does not listen, or says nothing any more.
    Gone { refused_memory: bool },
    /// It talks nonsense.
    Nonsense(String),
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        // How it ended says more than that it does not listen.
        Trouble::Gone { refused_memory: false }
    }
}

impl Decoder {
    fn start(program: &Program) -> io::Result<Self> {
        let mut child = program.start("picture")?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => {
                Ok(Self { child, input, output: BufReader::new(output) })
            }
            _ => Err(io::Error::other("it has no input and output")),
        }
    }

    async fn ask(&mut self, request: &Request, bytes: &[u8]) -> Result<Answered, Trouble> {
        let mut line = serde_json::to_vec(request).map_err(|e| Trouble::Nonsense(e.to_string()))?;
        line.push(b'\n');
        // A decoder that dies over the first bytes need not take the others; it may have said why.
        let sent = async {
            self.input.write_all(&line).await?;
            self.input.write_all(bytes).await?;
            self.input.flush().await
        };
        if let Err(e) = sent.await {
            tracing::debug!(error = %e, "a decoder does not listen");
        }
        let mut refused_memory = false;
        loop {
            let line = match self.line().await? {
                Some(line) => line,
                None => return Err(Trouble::Gone { refused_memory }),
            };
            if isolate::is_memory_refusal(&line) {
                refused_memory = true;
                continue;
            }
            let answer = serde_json::from_str::<Answer>(&line);
            return match answer.map_err(|e| Trouble::Nonsense(e.to_string()))? {
                Answer::Refused { reason } => Ok(Err(reason)),
                Answer::Picture { format, width, height, files_bytes } => {
                    let renditions = self.files(files_bytes, request).await?;
                    Ok(Ok(Picture { format, width, height, renditions }))
                }
            };
        }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.output).take(MAX_LINE_BYTES);
        limited.read_until(b'\n', &mut line).await?;
        let ended = !line.ends_with(b"\n");
        Ok((!ended).then(|| String::from_utf8_lossy(&line).into_owned()))
    }

    async fn files(
        &mut self,
        sizes: Vec<usize>,
        request: &Request,
    ) -> Result<Vec<Vec<u8>>, Trouble> {
        let total = sizes.iter().fold(0, |sum: usize, size| sum.saturating_add(*size));
        if sizes.len() != request.renditions.len() || total > request.memory_bytes {
            let text = format!("{} files of {total} bytes", sizes.len());
            return Err(Trouble::Nonsense(text));
        }
        let mut files = Vec::with_capacity(sizes.len());
        for size in sizes {
            let mut file = vec![0; size];
            self.output.read_exact(&mut file).await?;
            files.push(file);
        }
        Ok(files)
    }

    /// What the picture's failure is, in the end of its decoder.
    async fn failure(self, trouble: Trouble, memory_bytes: u64) -> Failure {
        let refused_memory = match trouble {
            Trouble::Gone { refused_memory } => refused_memory,
            Trouble::Nonsense(what) => {
                isolate::kill(self.child).await;
                let text = format!("the decoder's answer to this picture makes no sense: {what}");
                return Failure::lasting(text);
            }
        };
        drop((self.input, self.output));
        let status = isolate::gone(self.child).await;
        let ending = isolate::ending(status);
        tracing::warn!(%ending, refused_memory, "a decoder died over a picture and is replaced");
        if refused_memory {
            let may = text::bytes(memory_bytes);
            return Failure::lasting(format!(
                "the decoder needed more than the {may} that a picture of this size may take"
            ));
        }
        if isolate::is_own_fault(status) {
            return Failure::lasting(format!("the decoder died on this picture: {ending}"));
        }
        // Somebody ended it, as a system that stops does.
        Failure::passing(format!("the decoder was ended: {ending}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolate::tests::script;
    use feedfleet_config::RenditionFormat;
    use feedfleet_pictures::samples::{self, ALL, thumb};

    const MEMORY_BYTES: u64 = 64 << 20;

    fn decoders(text: &str, within: Duration) -> Decoders {
        Decoders::new(script(text), 2, MEMORY_BYTES, within)
    }

    /// What becomes of a good picture with one rendition, where decoders do what the script says.
    async fn drawn(decoders: &Decoders) -> Result<Drawn, Failure> {
        let picture = Bytes::from(samples::png(10, 20));
        decoders.draw(&picture, &[thumb(5, RenditionFormat::Png)], ALL).await
    }

    #[tokio::test]
    async fn a_picture_is_drawn_and_its_decoder_stays() {
        let text = r#"echo '{"answer":"picture","format":"png","width":10,"height":20,"files_bytes":[3]}'
            printf abc; cat >/dev/null"#;
        let decoders = decoders(text, DRAWN_WITHIN);
        let Ok(drawn) = drawn(&decoders).await else { panic!("it is a picture") };
        assert_eq!((drawn.picture.width, drawn.picture.height), (10, 20));
        assert_eq!(drawn.picture.renditions, [b"abc"]);
        assert_eq!(decoders.lock().len(), 1);
    }

    #[tokio::test]
    async fn what_ends_a_decoder_fails_its_picture_alone() {
        for (text, part, retry) in [
            ("kill -ABRT $$", "died on this picture: signal 6 (SIGABRT)", false),
            ("kill -SEGV $$", "died on this picture: signal 11 (SIGSEGV)", false),
            ("exit 101", "died on this picture: exit code 101", false),
            ("echo '{\"refused\":\"memory\"}'; kill -ABRT $$", "needed more than the 32.", false),
            ("kill -TERM $$", "was ended: signal 15 (SIGTERM)", true),
            ("echo hello; exec sleep 1000", "makes no sense", false),
            (
                r#"for n in 1 2; do echo '{"answer":"refused","reason":"no"}'; done; exec sleep 1000"#,
                "no",
                false,
            ),
            (
                r#"echo '{"answer":"picture","format":"png","width":1,"height":1,"files_bytes":[]}'"#,
                "0 files of 0 bytes",
                false,
            ),
        ] {
            let decoders = decoders(text, DRAWN_WITHIN);
            let Err(failure) = drawn(&decoders).await else { panic!("{text}") };
            assert!(failure.message.contains(part), "{text}: {failure:?}");
            assert_eq!(failure.retry, retry, "{text}: {failure:?}");
            // The next one gets a decoder of its own, and memory for it.
            assert!(drawn(&decoders).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_picture_that_takes_too_long_may_not_another_time() {
        let decoders = decoders("exec sleep 1000", Duration::from_millis(50));
        let Err(failure) = drawn(&decoders).await else { panic!("nobody answers") };
        assert_eq!(failure.message, "decoding took longer than 50 ms");
        assert!(failure.retry && decoders.lock().is_empty());
    }

    #[tokio::test]
    async fn a_picture_that_needs_more_than_there_is_starts_no_decoder() {
        let decoders = Decoders::new(script("exit 1"), 1, 1 << 20, DRAWN_WITHIN);
        let Err(failure) = drawn(&decoders).await else { panic!("there is no room") };
        assert!(failure.message.contains("a picture may take 1.0 MiB"), "{failure:?}");
        assert!(!failure.retry);
    }

    #[tokio::test]
    async fn a_decoder_that_died_while_it_was_idle_fails_no_picture() {
        let text = r#"echo '{"answer":"picture","format":"png","width":1,"height":1,"files_bytes":[1]}'
            printf x"#;
        let decoders = decoders(text, DRAWN_WITHIN);
        for _ in 0..2 {
            assert!(drawn(&decoders).await.is_ok());
            let idle = decoders.lock().pop();
            let mut idle = idle.expect("it stays until it is looked at");
            idle.child.wait().await.unwrap();
            decoders.lock().push(idle);
        }
    }
}
