use super::*;
use chrono::Utc;
use feedfleet_fleet::FleetError;
use std::sync::Mutex;
use tokio::time::Instant;

const QUICK: Times = Times {
    look: Duration::from_millis(5),
    idle: Duration::from_millis(200),
    retry: Duration::from_millis(5),
};
/// Nothing here takes as long.
const SOON: Duration = Duration::from_secs(20);

/// A machine that says what it is told to say, and writes down what it hears.
struct Spoken {
    notice: Mutex<Notice>,
    /// Protections still to be refused.
    refusals: Mutex<u32>,
    heard: watch::Sender<Vec<&'static str>>,
    /// How often it was asked about its future.
    asked: watch::Sender<u32>,
}

impl Spoken {
    fn new() -> Arc<Self> {
        let (heard, asked) = (watch::Sender::new(Vec::new()), watch::Sender::new(0));
        Arc::new(Self { notice: Mutex::new(Notice::None), refusals: Mutex::new(0), heard, asked })
    }

    fn say(&self, notice: Notice) {
        *self.notice.lock().unwrap() = notice;
    }

    fn hear(&self, word: &'static str) {
        self.heard.send_modify(|heard| heard.push(word));
    }

    /// Waits until exactly this has been heard.
    async fn has_heard(&self, words: &[&'static str]) {
        let mut heard = self.heard.subscribe();
        let waited = timeout(SOON, heard.wait_for(|heard| heard.len() >= words.len())).await;
        assert_eq!(*waited.unwrap().unwrap(), words);
    }
}

#[async_trait::async_trait]
impl Instance for Spoken {
    fn id(&self) -> &str {
        "i-1"
    }

    async fn protect(&self, on: bool) -> Result<(), FleetError> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(FleetError::passing("protect", "i-1", "not in service yet"));
        }
        self.hear(if on { "protect" } else { "release" });
        Ok(())
    }

    async fn notice(&self) -> Result<Notice, FleetError> {
        self.asked.send_modify(|asked| *asked += 1);
        Ok(self.notice.lock().unwrap().clone())
    }

    async fn gone(&self) -> Result<(), FleetError> {
        self.hear("gone");
        Ok(())
    }
}

fn watched(times: Times) -> (Arc<Spoken>, Arc<StatusBoard>, CancellationToken, Machine) {
    let (spoken, shutdown) = (Spoken::new(), CancellationToken::new());
    let board = Arc::new(StatusBoard::of("i-1/1".to_owned(), Utc::now()));
    let machine = Machine::watch_with(times, spoken.clone(), &board, &shutdown);
    (spoken, board, shutdown, machine)
}

#[tokio::test]
async fn a_notice_stops_the_worker_and_its_machine_may_go_when_the_work_is_handed_back() {
    let (spoken, board, shutdown, machine) = watched(QUICK);
    let busy = board.busy("acme");
    spoken.has_heard(&["protect"]).await;
    spoken.say(Notice::Leave("spot interruption".to_owned()));
    timeout(SOON, shutdown.cancelled()).await.unwrap();
    drop(busy);
    machine.leave().await;
    spoken.has_heard(&["protect", "gone"]).await;
}

/// A worker that somebody stops while its group waits for it tells the group all the same.
#[tokio::test]
async fn a_notice_that_came_with_a_signal_is_not_missed() {
    let (spoken, _board, shutdown, machine) = watched(Times { look: SOON, idle: SOON, ..QUICK });
    // The next look would be a long time from now.
    timeout(SOON, spoken.asked.subscribe().wait_for(|asked| *asked > 0)).await.unwrap().unwrap();
    spoken.say(Notice::Leave("the group takes the instance to Terminated".to_owned()));
    shutdown.cancel();
    machine.leave().await;
    spoken.has_heard(&["gone"]).await;
}

#[tokio::test]
async fn protection_lasts_from_job_to_job_and_ends_with_idleness() {
    let (spoken, board, shutdown, machine) = watched(QUICK);
    // An earlier worker's protection, which nobody knows of.
    spoken.has_heard(&["release"]).await;
    *spoken.refusals.lock().unwrap() = 2;
    let first = board.busy("acme");
    spoken.has_heard(&["release", "protect"]).await;
    drop(first);
    let second = board.busy("acme");
    drop(second);
    spoken.has_heard(&["release", "protect", "release"]).await;
    shutdown.cancel();
    machine.leave().await;
    spoken.has_heard(&["release", "protect", "release"]).await;
}

/// Nobody would ever take it back.
#[tokio::test]
async fn a_worker_that_is_stopped_leaves_no_protection_behind() {
    let (spoken, board, shutdown, machine) = watched(Times { idle: SOON, ..QUICK });
    let busy = board.busy("acme");
    spoken.has_heard(&["protect"]).await;
    shutdown.cancel();
    drop(busy);
    machine.leave().await;
    spoken.has_heard(&["protect", "release"]).await;
}

#[tokio::test]
async fn crawls_wait_while_the_machine_is_at_risk() {
    let (spoken, _board, shutdown, machine) = watched(QUICK);
    let mut hold = machine.hold();
    assert!(!*hold.borrow());
    spoken.say(Notice::AtRisk("08:22".to_owned()));
    timeout(SOON, hold.wait_for(|held| *held)).await.unwrap().unwrap();
    spoken.say(Notice::None);
    timeout(SOON, hold.wait_for(|held| !*held)).await.unwrap().unwrap();
    shutdown.cancel();
    machine.leave().await;
}

#[test]
fn a_recommendation_holds_for_a_while_and_the_next_one_anew() {
    let (mut risk, start) = (Risk::default(), Instant::now());
    let mut at = |secs, which: Option<&str>| {
        risk.holds(which.map(str::to_owned), start + Duration::from_secs(secs))
    };
    assert!(!at(0, None));
    assert!(at(10, Some("08:22")));
    assert!(at(609, Some("08:22")));
    assert!(!at(610, Some("08:22")), "nothing has come of it");
    assert!(!at(700, Some("08:22")));
    assert!(at(701, Some("09:00")));
    assert!(!at(702, None));
}
