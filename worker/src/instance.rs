//! The worker's machine, where it may be taken away: watched for the notice, kept while there is work in hand, and
//! told when the work is handed back.

use crate::status::StatusBoard;
use feedfleet_fleet::{Instance, Notice};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Between looks for a notice. AWS recommends five seconds; of the two minutes that a spot notice leaves, none is to
/// be wasted.
const LOOK: Duration = Duration::from_secs(2);
/// Failed looks between two complaints about them.
const LOOKS_PER_COMPLAINT: u32 = 30;
/// How long a machine that is at risk begins no crawl. Its group starts another one meanwhile and takes this one
/// away; if nothing has come of it by then, most likely nothing will, and a queue of crawls must not wait for
/// workers that are all at risk and idle.
const HOLD: Duration = Duration::from_secs(600);
/// A worker that has been idle for this long gives up its protection. Between two jobs it keeps it: each change is a
/// request, and all workers of an account share a limit on those.
const IDLE_BEFORE_RELEASE: Duration = Duration::from_secs(30);
/// Between tries to change the protection. A machine that has just started is not its group's yet.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// The last question, and the last word about protection, have this long.
const LAST_WORD: Duration = Duration::from_secs(5);

/// How long everything takes; tests have less time.
#[derive(Clone, Copy)]
struct Times {
    look: Duration,
    idle: Duration,
    retry: Duration,
}

const TIMES: Times = Times { look: LOOK, idle: IDLE_BEFORE_RELEASE, retry: RETRY_PAUSE };

/// The machine, and the tasks that look after it.
pub(crate) struct Machine {
    instance: Arc<dyn Instance>,
    hold: watch::Receiver<bool>,
    /// True: the machine has to go.
    notices: JoinHandle<bool>,
    /// What the protection was last set to; none where that is not known.
    protection: JoinHandle<Option<bool>>,
    stop_protecting: CancellationToken,
}

impl Machine {
    /// Begins to watch. A notice cancels `shutdown`.
    pub(crate) fn watch(
        instance: Arc<dyn Instance>,
        board: &StatusBoard,
        shutdown: &CancellationToken,
    ) -> Self {
        Self::watch_with(TIMES, instance, board, shutdown)
    }

    fn watch_with(
        times: Times,
        instance: Arc<dyn Instance>,
        board: &StatusBoard,
        shutdown: &CancellationToken,
    ) -> Self {
        let (held, hold) = watch::channel(false);
        let stop_protecting = CancellationToken::new();
        let notices = watch_notices(times, instance.clone(), held, shutdown.clone());
        let busy = board.is_busy();
        let protection = protect(times, instance.clone(), busy, stop_protecting.clone());
        Self {
            instance,
            hold,
            notices: tokio::spawn(notices),
            protection: tokio::spawn(protection),
            stop_protecting,
        }
    }

    /// True while no crawl is to be begun.
    ///
    /// A recommendation to rebalance says that the machine is more likely to be taken than others. A group with
    /// capacity rebalancing then replaces it within minutes, so a crawl that is begun now is likely to be cut off.
    /// Crawls in hand go on: what they have archived is not lost. Image jobs take seconds, and go on too.
    pub(crate) fn hold(&self) -> watch::Receiver<bool> {
        self.hold.clone()
    }

    /// The worker has nothing in hand any more, and ends.
    pub(crate) async fn leave(self) {
        self.stop_protecting.cancel();
        let protected = self.protection.await.unwrap_or_default();
        if self.notices.await.unwrap_or_default() || told_to_go(self.instance.as_ref()).await {
            match self.instance.gone().await {
                Ok(()) => tracing::info!(
                    instance = self.instance.id(),
                    "work is handed back, the machine may go"
                ),
                // The hook's time runs out, and the machine goes all the same.
                Err(e) => tracing::warn!(error = %e, "could not tell that the work is handed back"),
            }
        } else if protected != Some(false) {
            // Without a worker nobody would ever take it back, and the machine would be paid for idly.
            match timeout(LAST_WORD, self.instance.protect(false)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, "the machine stays protected from scale-in")
                }
                Err(_) => {
                    tracing::warn!("the machine stays protected from scale-in: no answer in time")
                }
            }
        }
    }
}

/// Looks for a notice until `shutdown`, which it cancels when there is one; then it returns true.
async fn watch_notices(
    times: Times,
    instance: Arc<dyn Instance>,
    held: watch::Sender<bool>,
    shutdown: CancellationToken,
) -> bool {
    let mut failures: u32 = 0;
    let mut risk = Risk::default();
    loop {
        let notice = tokio::select! {
            notice = instance.notice() => notice,
            () = shutdown.cancelled() => return false,
        };
        match notice {
            Ok(Notice::Leave(why)) => {
                tracing::warn!(instance = instance.id(), %why, "the machine has to go, handing work back");
                shutdown.cancel();
                return true;
            }
            Ok(notice) => {
                failures = 0;
                let at_risk = match notice {
                    Notice::AtRisk(which) => Some(which),
                    _ => None,
                };
                let hold = risk.holds(at_risk, tokio::time::Instant::now());
                if held.send_if_modified(|was| std::mem::replace(was, hold) != hold) {
                    tracing::info!(
                        instance = instance.id(),
                        hold,
                        "the machine is at risk: crawls wait"
                    );
                }
            }
            Err(e) => {
                if failures.is_multiple_of(LOOKS_PER_COMPLAINT) {
                    tracing::warn!(error = %e, "could not ask the machine about its future");
                }
                failures = failures.wrapping_add(1);
            }
        }
        tokio::select! {
            () = sleep(times.look) => {}
            () = shutdown.cancelled() => return false,
        }
    }
}

/// The recommendation that the machine was last at risk by, and since when.
#[derive(Default)]
struct Risk(Option<(String, tokio::time::Instant)>);

impl Risk {
    /// Whether to hold, as long as this recommendation stands.
    fn holds(&mut self, at_risk: Option<String>, now: tokio::time::Instant) -> bool {
        let Some(which) = at_risk else { return false };
        let since = match &self.0 {
            Some((known, since)) if *known == which => *since,
            _ => now,
        };
        self.0 = Some((which, since));
        now - since < HOLD
    }
}

/// Whether a notice came that nobody has looked for since the worker was told to stop from elsewhere.
async fn told_to_go(instance: &dyn Instance) -> bool {
    matches!(timeout(LAST_WORD, instance.notice()).await, Ok(Ok(Notice::Leave(_))))
}

/// Protects the machine while the worker is busy, and for a while afterwards, until `stop`. What it was at first is
/// not known: an earlier worker may have left its protection behind.
async fn protect(
    times: Times,
    instance: Arc<dyn Instance>,
    mut busy: watch::Receiver<bool>,
    stop: CancellationToken,
) -> Option<bool> {
    let mut protected = None;
    loop {
        let wanted = *busy.borrow_and_update();
        let pause = if protected == Some(wanted) {
            None
        } else if !wanted && !stays_idle(times.idle, &mut busy, &stop).await {
            Some(Duration::ZERO)
        } else {
            let set = tokio::select! {
                set = instance.protect(wanted) => set,
                // Whether it was set is not known then.
                () = stop.cancelled() => return None,
            };
            match set {
                Ok(()) => {
                    tracing::debug!(
                        instance = instance.id(),
                        wanted,
                        "protection from scale-in set"
                    );
                    protected = Some(wanted);
                    None
                }
                Err(e) => {
                    tracing::warn!(error = %e, wanted, "could not set the protection from scale-in");
                    protected = None;
                    Some(times.retry)
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return protected,
            changed = busy.changed() => {
                if changed.is_err() {
                    return protected;
                }
            }
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Waits as long as an idle worker keeps its protection. False: something has happened before that.
async fn stays_idle(
    idle: Duration,
    busy: &mut watch::Receiver<bool>,
    stop: &CancellationToken,
) -> bool {
    tokio::select! {
        () = sleep(idle) => true,
        _ = busy.wait_for(|busy| *busy) => false,
        () = stop.cancelled() => false,
    }
}

#[cfg(test)]
mod tests;
