//! The worker's side of a job in a process of its own.

use super::wire::{EndLine, is_memory_refusal};
use super::{Program, ending, gone, kill};
use crate::backoff;
use feedfleet_config::Workers;
use feedfleet_model::{Job, Outcome, Reason, ReasonClass, text};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStdout;
use tokio_util::sync::CancellationToken;

/// The fleet kills workers that have not gone after 90 s, and children must go well before. Who has lost its
/// lease must hurry: somebody else has the job by then.
const PATIENCE: Patience =
    Patience { interrupted: Duration::from_secs(60), lost: Duration::from_secs(10) };
/// What a child says is short.
const ANSWER_BYTES: u64 = 1 << 20;

/// How a job ended, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    /// The most resident bytes of the process that did it; none where that is not known.
    pub(crate) peak_memory_bytes: Option<u64>,
}

impl From<Outcome> for Finished {
    /// Of a job that did not say what it took.
    fn from(outcome: Outcome) -> Self {
        Self { outcome, peak_memory_bytes: None }
    }
}

/// When a child must stop.
#[derive(Clone, Copy)]
pub(crate) struct Stop<'a> {
    /// The lease of its job is lost.
    pub(crate) lost: &'a CancellationToken,
    /// The worker must go.
    pub(crate) interrupt: &'a CancellationToken,
}

impl Stop<'_> {
    async fn told(self) {
        tokio::select! {
            () = self.lost.cancelled() => {}
            () = self.interrupt.cancelled() => {}
        }
    }

    async fn outlasts(self, patience: Patience) {
        let lost = async {
            self.lost.cancelled().await;
            tokio::time::sleep(patience.lost).await;
        };
        let interrupted = async {
            self.interrupt.cancelled().await;
            tokio::time::sleep(patience.interrupted).await;
        };
        tokio::select! {
            () = lost => {}
            () = interrupted => {}
        }
    }
}

/// How long a child may take to stop: to hand its work back, after this.
#[derive(Clone, Copy)]
struct Patience {
    interrupted: Duration,
    lost: Duration,
}

/// Does a job in a child of its own. A child that ends without an outcome is a failed attempt, as a panic is.
pub(crate) async fn run_apart(
    program: &Program,
    workers: &Workers,
    job: &Job,
    stop: Stop<'_>,
) -> Finished {
    let outcome = match supervise(program, job, stop, PATIENCE).await {
        Ended::Finished(finished) => return finished,
        Ended::Killed => Outcome::Interrupted,
        Ended::Died { status, refused_memory } => {
            let reason = if refused_memory { past_memory(workers) } else { died(status) };
            Outcome::RetryAfter(backoff::after_failures(1), reason)
        }
        Ended::NotStarted(e) => {
            let text = format!("could not start a process for the job: {e}");
            let reason = Reason::new(ReasonClass::WorkerLost, text);
            Outcome::RetryAfter(backoff::after_failures(1), reason)
        }
    };
    outcome.into()
}

fn died(status: Option<ExitStatus>) -> Reason {
    let text = format!("the job's process died under it: {}", ending(status));
    Reason::new(ReasonClass::WorkerLost, text)
}

fn past_memory(workers: &Workers) -> Reason {
    let text = format!(
        "the job needed more than the {} that one crawl may hold: its share of {} (memory in [workers] of \
         fleet.toml) with crawl_slots = {}",
        text::bytes(workers.memory_shares().crawl_bytes),
        text::bytes(workers.memory_bytes),
        workers.crawl_slots
    );
    Reason::new(ReasonClass::LimitExceeded, text)
}

/// How a child ended.
enum Ended {
    /// It said how its job ended.
    Finished(Finished),
    /// It was told to stop, and did not in time.
    Killed,
    /// By itself, without a word; `status` is none where it had to be helped.
    Died { status: Option<ExitStatus>, refused_memory: bool },
    /// It was never there.
    NotStarted(std::io::Error),
}

async fn supervise(program: &Program, job: &Job, stop: Stop<'_>, patience: Patience) -> Ended {
    let mut child = match program.start("job") {
        Ok(child) => child,
        Err(e) => return Ended::NotStarted(e),
    };
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Ended::NotStarted(std::io::Error::other("it has no input and output"));
    };
    let mut line = job.to_body();
    line.push('\n');
    if let Err(e) = input.write_all(line.as_bytes()).await {
        // It has gone already, and how says more than this.
        tracing::debug!(error = %e, "a child does not listen");
    }
    let overdue = async move {
        stop.told().await;
        // The end of its input asks the child to stop.
        drop(input);
        stop.outlasts(patience).await;
    };
    let answer = tokio::select! {
        answer = listen(output) => answer,
        () = overdue => {
            tracing::warn!("a child did not stop in time and is killed");
            kill(child).await;
            return Ended::Killed;
        }
    };
    let status = gone(child).await;
    match answer.finished {
        // What it did is done, however it left.
        Some(finished) => Ended::Finished(finished),
        None => Ended::Died { status, refused_memory: answer.refused_memory },
    }
}

/// What a child said.
#[derive(Default)]
struct Answer {
    finished: Option<Finished>,
    refused_memory: bool,
}

/// Listens to a child until it has said how its job ended, or says nothing any more.
async fn listen(output: ChildStdout) -> Answer {
    let mut answer = Answer::default();
    let mut lines = BufReader::new(output.take(ANSWER_BYTES)).lines();
    loop {
        let line = match lines.next_line().await {
            Ok(Some(line)) => line,
            Ok(None) => return answer,
            Err(e) => {
                tracing::warn!(error = %e, "could not listen to a child");
                return answer;
            }
        };
        if is_memory_refusal(&line) {
            answer.refused_memory = true;
            continue;
        }
        match serde_json::from_str::<EndLine>(&line) {
            Ok(EndLine { outcome, peak_memory_bytes }) => {
                let peak_memory_bytes = (peak_memory_bytes > 0).then_some(peak_memory_bytes);
                answer.finished = Some(Finished { outcome: outcome.into(), peak_memory_bytes });
                return answer;
            }
            Err(e) => tracing::warn!(error = %e, "a child said what is no outcome"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::script;
    use super::*;
    use feedfleet_model::{CrawlJob, RunId};

    fn job() -> Job {
        Job::Crawl(CrawlJob { pipe: "acme".parse().unwrap(), run: RunId(7), attempt: 1 })
    }

    fn workers() -> Workers {
        Workers { min: 0, max: 1, crawl_slots: 2, image_slots: 8, memory_bytes: 1 << 30 }
    }

    async fn outcome_of(text: &str) -> Outcome {
        finish(text).await.outcome
    }

    async fn finish(text: &str) -> Finished {
        let (lost, interrupt) = (CancellationToken::new(), CancellationToken::new());
        let stop = Stop { lost: &lost, interrupt: &interrupt };
        run_apart(&script(text), &workers(), &job(), stop).await
    }

    async fn failure_of(text: &str) -> Reason {
        match outcome_of(text).await {
            Outcome::RetryAfter(_, reason) => reason,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_job_goes_in_and_its_outcome_comes_out() {
        let done = r#"read job; case "$job" in *acme*) echo '{"outcome":"done"}';; esac"#;
        assert_eq!(outcome_of(done).await, Outcome::Done);
        // What it did is done, however it leaves.
        assert_eq!(outcome_of(r#"echo '{"outcome":"done"}'; kill -9 $$"#).await, Outcome::Done);
    }

    #[tokio::test]
    async fn what_a_job_took_comes_out_however_it_ended() {
        let failed = r#"echo '{"outcome":"dead","reason":{"class":"not-a-feed","message":"a page"},"peak_memory_bytes":4096}'"#;
        let finished = finish(failed).await;
        assert_eq!(finished.peak_memory_bytes, Some(4096));
        assert!(matches!(finished.outcome, Outcome::Dead(_)), "{finished:?}");
        for silent in [r#"echo '{"outcome":"done"}'"#, "kill -9 $$"] {
            assert_eq!(finish(silent).await.peak_memory_bytes, None, "{silent}");
        }
    }

    #[tokio::test]
    async fn a_child_that_dies_is_a_failed_attempt_with_a_reason() {
        for (text, part) in [
            ("kill -ABRT $$", "signal 6 (SIGABRT)"),
            ("kill -9 $$", "signal 9"),
            ("exit 3", "exit code 3"),
            ("echo '{\"outcome\":\"fine\"}'", "exit code 0"),
        ] {
            let reason = failure_of(text).await;
            assert_eq!(reason.class, ReasonClass::WorkerLost, "{text}: {reason}");
            assert!(reason.message.contains(part), "{text}: {reason}");
        }
        let reason = failure_of(r#"echo '{"refused":"memory"}'; kill -ABRT $$"#).await;
        assert_eq!(reason.class, ReasonClass::LimitExceeded, "{reason}");
        assert!(reason.message.contains("more than the 320.0 MiB"), "{reason}");
        assert!(reason.message.contains("crawl_slots = 2"), "{reason}");
    }

    #[tokio::test]
    async fn a_refusal_that_was_survived_is_no_failure() {
        let text = r#"echo '{"refused":"memory"}'; echo '{"outcome":"done"}'"#;
        assert_eq!(outcome_of(text).await, Outcome::Done);
    }

    #[tokio::test]
    async fn the_end_of_its_input_asks_a_child_to_stop() {
        let (lost, interrupt) = (CancellationToken::new(), CancellationToken::new());
        interrupt.cancel();
        let stop = Stop { lost: &lost, interrupt: &interrupt };
        // Reads to the end of its input, which comes with the interruption and not before.
        let program = script(r#"cat >/dev/null; echo '{"outcome":"interrupted"}'"#);
        let ended = run_apart(&program, &workers(), &job(), stop).await;
        assert_eq!(ended.outcome, Outcome::Interrupted);
    }

    #[tokio::test]
    async fn a_child_that_does_not_stop_is_killed() {
        let (lost, interrupt) = (CancellationToken::new(), CancellationToken::new());
        // A worker that must go gives its children time; when the lease is lost too, they have none.
        interrupt.cancel();
        lost.cancel();
        let stop = Stop { lost: &lost, interrupt: &interrupt };
        let patience =
            Patience { interrupted: Duration::from_secs(1000), lost: Duration::from_millis(50) };
        let ended = supervise(&script("exec sleep 1000"), &job(), stop, patience).await;
        assert!(matches!(ended, Ended::Killed));
    }
}
