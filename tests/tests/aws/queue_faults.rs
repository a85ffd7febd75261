//! The rows of faults that concern the queue, on SQS: what happens when the network or the service fails in the
//! middle of an operation.

use crate::queue_rig::{LONG, Rig, bodies, message, now};
use feedfleet_aws::SqsQueue;
use feedfleet_queue::{NewMessage, Queue, QueueError, Receive};
use feedfleet_tests::aws::{Fault, Proxy, Request, Rule};
use feedfleet_worker::lease::{Heart, Lease};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SEND: &str = "SendMessageBatch";
const RECEIVE: &str = "ReceiveMessage";
const DELETE: &str = "DeleteMessageBatch";
const CHANGE: &str = "ChangeMessageVisibilityBatch";
const COUNT: &str = "GetQueueAttributes";

/// Notes the attempt id of each receive that passes, and lets it pass.
fn note_attempts(proxy: &Proxy) -> Arc<Mutex<Vec<String>>> {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&attempts);
    let note = move |request: &Request| {
        if request.operation == RECEIVE {
            let body: Value = serde_json::from_slice(&request.body).expect("SQS speaks JSON");
            let id = body["ReceiveRequestAttemptId"].as_str().expect("a receive has an attempt id");
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
        false
    };
    proxy.add(Rule::when(note, Fault::DropRequest));
    attempts
}

/// A batch whose reply is lost is sent again, and each of its messages comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_whose_reply_is_lost_is_delivered_once() {
    let Some(rig) = Rig::new().await else { return };
    let lost = rig.proxy.add(Rule::of(SEND, Fault::DropReply).once());
    let batch = [message("a", "a1"), message("a", "a2"), message("b", "b1")];
    let sent = rig.queue.send(&batch).await.expect("sent, at the second try");
    assert_eq!((lost.get(), sent.len()), (1, 3));
    let received = rig.next(LONG).await;
    let of = |group: &str| -> Vec<&str> {
        let own = received.iter().filter(|one| one.group == group);
        own.map(|one| one.body.as_str()).collect()
    };
    assert_eq!((of("a"), of("b")), (vec!["a1", "a2"], vec!["b1"]));
    assert_eq!(received[0].id, sent[0].id);
    for one in &received {
        rig.other.delete(&one.receipt).await.expect("delete");
    }
    rig.assert_empty().await;
}

/// A receive whose reply is lost is repeated under the same attempt id, for which SQS gives the same messages
/// again. The stand-in for that is the proxy.
#[tokio::test(flavor = "multi_thread")]
async fn a_receive_whose_reply_is_lost_gives_the_same_messages_again() {
    let Some(rig) = Rig::new().await else { return };
    let attempts = note_attempts(&rig.proxy);
    let lost = rig.proxy.add(Rule::of(RECEIVE, Fault::DropReplyAndRepeat).once());
    rig.other.send(&[message("g", "1"), message("g", "2")]).await.expect("send");
    let received = rig.queue.receive(now(2, LONG)).await.expect("receive");
    assert_eq!((lost.get(), bodies(&received)), (1, vec!["1", "2"]));
    assert_eq!(received[0].receive_count, 1, "it was one receive");
    for one in &received {
        rig.queue.delete(&one.receipt).await.expect("the leases are ours");
    }
    assert!(rig.queue.receive(now(2, LONG)).await.expect("receive").is_empty());
    let attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(attempts[0], attempts[1], "two tries of one receive");
    assert_ne!(attempts[1], attempts[2], "another receive");
    rig.assert_empty().await;
}

/// SQS refuses the attempt id of a receive that it has throttled: that one leased nothing, and the next is another.
#[tokio::test(flavor = "multi_thread")]
async fn a_receive_that_was_throttled_is_made_again_as_another() {
    let Some(rig) = Rig::new().await else { return };
    let attempts = note_attempts(&rig.proxy);
    let body = r#"{"__type":"com.amazonaws.sqs#InvalidParameterValue","message":"Value x for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is not valid anymore since the receive call is not retryable"}"#;
    let refused = Fault::Answer {
        status: 400,
        content_type: "application/x-amz-json-1.0",
        body: body.to_owned(),
    };
    rig.other.send(&[message("g", "1")]).await.expect("send");
    for fault in [Fault::Throttle, refused] {
        attempts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let refused = rig.proxy.add(Rule::of(RECEIVE, fault).once());
        let received = rig.queue.receive(now(1, LONG)).await.expect("receive");
        assert_eq!((refused.get(), bodies(&received)), (1, vec!["1"]));
        let made = attempts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(made.len(), 2, "{made:?}");
        assert_ne!(made[0], made[1]);
        rig.queue.release(&received[0].receipt).await.expect("release");
    }
}

/// One whose answer was lost keeps its id, whatever is answered before it is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_receive_that_is_throttled_then_is_still_the_same() {
    let Some(rig) = Rig::new().await else { return };
    let attempts = note_attempts(&rig.proxy);
    rig.other.send(&[message("g", "1")]).await.expect("send");
    let lost = rig.proxy.add(Rule::of(RECEIVE, Fault::DropRequest).once());
    let throttled = rig.proxy.add(Rule::of(RECEIVE, Fault::Throttle).once());
    let received = rig.queue.receive(now(1, LONG)).await.expect("receive");
    assert_eq!((lost.get(), throttled.get(), bodies(&received)), (1, 1, vec!["1"]));
    let made = attempts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(made.len(), 3, "{made:?}");
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
}

/// Where the attempt id is not known, or too old, the messages come back when their lease ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_receive_that_stays_lost_costs_one_visibility_timeout() {
    let Some(rig) = Rig::new().await else { return };
    let lost = rig.proxy.add(Rule::of(RECEIVE, Fault::DropReply).once());
    rig.other.send(&[message("g", "1"), message("g", "2")]).await.expect("send");
    let lease = Duration::from_secs(3);
    let received = rig.queue.receive(now(1, lease)).await.expect("receive");
    assert_eq!((lost.get(), received.len()), (1, 0), "the lost receive holds the group");
    let again = rig.next(LONG).await;
    assert_eq!(bodies(&again), ["1", "2"], "nothing is lost, and the order stands");
    assert_eq!((again[0].receive_count, again[1].receive_count), (2, 1));
}

/// A delete whose reply is lost has happened. The second try may say so or find the receipt dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_whose_reply_is_lost_has_happened() {
    let Some(rig) = Rig::new().await else { return };
    let one = rig.lease(LONG).await;
    let lost = rig.proxy.add(Rule::of(DELETE, Fault::DropReply).once());
    let deleted = rig.queue.delete(&one.receipt).await;
    assert!(matches!(deleted, Ok(()) | Err(QueueError::ReceiptExpired { .. })), "{deleted:?}");
    assert_eq!((lost.get(), rig.proxy.requests(DELETE)), (1, 2));
    rig.assert_empty().await;
}

/// A release whose reply is lost is not made again: by then the message may be another's, whose lease is not for this
/// worker to end. One that was refused has not happened, and is.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_reply_is_lost_is_not_made_again() {
    let Some(rig) = Rig::new().await else { return };
    let one = rig.lease(LONG).await;
    let lost = rig.proxy.add(Rule::of(CHANGE, Fault::DropReply).once());
    let released = rig.queue.release(&one.receipt).await;
    assert!(matches!(released, Err(QueueError::ReceiptExpired { .. })), "{released:?}");
    assert_eq!((lost.get(), rig.proxy.requests(CHANGE)), (1, 1));
    let again = rig.queue.receive(now(1, LONG)).await.expect("receive");
    assert_eq!(bodies(&again), ["1"], "it was released");

    let refused = rig.proxy.add(Rule::of(CHANGE, Fault::Throttle).once());
    rig.queue.release(&again[0].receipt).await.expect("release");
    assert_eq!((refused.get(), rig.proxy.requests(CHANGE)), (1, 3));
    let next = rig.next(LONG).await;
    assert_eq!(bodies(&next), ["1"]);
    rig.other.extend(&next[0].receipt, LONG).await.expect("the lease is the other's");
    rig.other.delete(&next[0].receipt).await.expect("delete");
    rig.assert_empty().await;
}

/// A worker that stops drops its receive, whose answer is on its way: what it leased is given back before the queue is
/// closed, and nobody waits for the end of a lease that nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_waits_for_is_given_back_before_the_end() {
    let Some(rig) = Rig::new().await else { return };
    rig.other.send(&[message("g", "1")]).await.expect("send");
    let late = rig.proxy.add(Rule::of(RECEIVE, Fault::DelayReply(Duration::from_secs(2))).once());
    let receiving = rig.queue.receive(now(1, LONG));
    let dropped = tokio::time::timeout(Duration::from_millis(500), receiving).await;
    assert!(dropped.is_err(), "the answer is on its way");
    rig.queue.close().await;
    assert_eq!(late.get(), 1);
    let received = rig.next(LONG).await;
    assert_eq!(bodies(&received), ["1"]);
    rig.other.delete(&received[0].receipt).await.expect("delete");
    rig.assert_empty().await;
}

/// Workers that leave together leave their polls open side by side. A message that comes then does not go through all
/// of them: each would cost it a receive, and too many are a dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_when_many_workers_leave_costs_one_receive() {
    let Some(rig) = Rig::new().await else { return };
    let request = Receive { max: 1, visibility: LONG, wait: Duration::from_secs(4) };
    let polls: Vec<_> = (0..8)
        .map(|_| {
            let queue = Arc::clone(&rig.queue);
            tokio::spawn(async move { queue.receive(request).await })
        })
        .collect();
    rig.until("all of them poll", |rig| rig.proxy.requests(RECEIVE) == polls.len());
    for poll in &polls {
        poll.abort();
    }
    rig.other.send(&[message("g", "1")]).await.expect("send");
    rig.queue.close().await;
    let received = rig.next(LONG).await;
    assert_eq!(bodies(&received), ["1"]);
    assert_eq!(received[0].receive_count, 2, "one of the polls, and this one");
    rig.other.delete(&received[0].receipt).await.expect("delete");
    rig.assert_empty().await;
}

/// An extension whose reply is lost is made again; the lease lasts.
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_whose_reply_is_lost_is_made_again() {
    let Some(rig) = Rig::new().await else { return };
    let one = rig.lease(Duration::from_secs(4)).await;
    let lost = rig.proxy.add(Rule::of(CHANGE, Fault::DropReply).once());
    rig.queue.extend(&one.receipt, LONG).await.expect("extend");
    assert_eq!(lost.get(), 1);
    rig.assert_held(Duration::from_secs(5)).await;
    rig.queue.delete(&one.receipt).await.expect("delete");
    rig.assert_empty().await;
}

/// A dead letter whose copy's reply is lost is there once, and its message is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_reply_is_lost_is_there_once() {
    let Some(rig) = Rig::new().await else { return };
    let one = rig.lease(LONG).await;
    let lost = rig.proxy.add(Rule::of("SendMessage", Fault::DropReply).once());
    rig.queue.dead_letter(&one.receipt, "a test").await.expect("dead-letter");
    assert_eq!(lost.get(), 1);
    let dead = rig.other.dead(10).await.expect("dead");
    let brief: Vec<(&str, &str)> =
        dead.iter().map(|one| (one.body.as_str(), one.reason.as_str())).collect();
    assert_eq!(brief, [("1", "a test")]);
    let counts = rig.other.counts().await.expect("counts");
    assert_eq!((counts.visible, counts.in_flight), (0, 0));
}

/// 500, 503 and throttling pass by, whatever was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_for_a_moment_is_asked_again() {
    let Some(rig) = Rig::new().await else { return };
    for (number, fault) in
        [Fault::Status(500), Fault::Status(503), Fault::Throttle].into_iter().enumerate()
    {
        let operations = [SEND, RECEIVE, CHANGE, DELETE, COUNT];
        let hits = operations.map(|name| rig.proxy.add(Rule::of(name, fault.clone()).once()));
        let body = format!("body-{number}");
        rig.queue.send(&[message("g", &body)]).await.expect("send");
        let one = rig.queue.receive(now(1, LONG)).await.expect("receive").remove(0);
        assert_eq!(one.body, body);
        rig.queue.extend(&one.receipt, LONG).await.expect("extend");
        rig.queue.delete(&one.receipt).await.expect("delete");
        rig.queue.counts().await.expect("counts");
        for (name, hits) in operations.iter().zip(hits) {
            assert_eq!(hits.get(), 1, "{name} with {fault:?}");
        }
    }
    rig.assert_empty().await;
}

/// A reply that does not come is not waited for: the call ends in time, and the next try succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_ends_and_is_made_again() {
    let Some(rig) = Rig::new().await else { return };
    let one = rig.lease(LONG).await;
    let hang = Duration::from_secs(40);
    let slow = [SEND, CHANGE, DELETE]
        .map(|name| rig.proxy.add(Rule::of(name, Fault::DelayReply(hang)).once()));
    let begun = Instant::now();
    let sending = rig.queue.clone();
    let sent = tokio::spawn(async move { sending.send(&[message("h", "2")]).await });
    rig.queue.extend(&one.receipt, LONG).await.expect("extend");
    let deleted = rig.queue.delete(&one.receipt).await;
    assert!(matches!(deleted, Ok(()) | Err(QueueError::ReceiptExpired { .. })), "{deleted:?}");
    sent.await.expect("the sender lives").expect("send");
    assert!(begun.elapsed() < hang * 3 / 4, "{:?}", begun.elapsed());
    assert_eq!(slow.map(|hits| hits.get()), [1, 1, 1]);
    assert_eq!(bodies(&rig.next(LONG).await), ["2"], "once");
}

/// A long poll that hangs ends soon after its wait, with an error or what there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_that_hangs_ends_soon_after_its_wait() {
    let Some(rig) = Rig::new().await else { return };
    let hang = Duration::from_secs(60);
    let slow = rig.proxy.add(Rule::of(RECEIVE, Fault::DelayReply(hang)).once());
    let begun = Instant::now();
    let request = Receive { max: 1, visibility: LONG, wait: Duration::from_secs(2) };
    // Whether it is an error is the backend's choice.
    let received = rig.queue.receive(request).await;
    assert!(received.is_err() || received.is_ok_and(|got| got.is_empty()));
    assert_eq!(slow.get(), 1);
    assert!(begun.elapsed() < hang / 2, "{:?}", begun.elapsed());
}

/// The queue is down for longer than a lease: the heartbeat fails, the job is cancelled before the lease ends,
/// and the message is somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_extended_cancels_its_job_in_time() {
    let Some(rig) = Rig::new().await else { return };
    let visibility = Duration::from_secs(18);
    let begun = Instant::now();
    let one = rig.lease(visibility).await;
    let heart = Heart::start().expect("a thread can be started");
    let lease = Lease::hold(&heart, rig.queue.clone(), one.receipt.clone(), visibility);
    let down = rig.proxy.add(Rule::all(Fault::DropRequest));
    let lost = tokio::time::timeout(visibility, lease.lost().cancelled()).await;
    lost.expect("the job is cancelled before somebody else gets its message");
    assert!(begun.elapsed() > visibility / 3, "it was given up at the first failure");
    assert!(down.get() > 1, "the heartbeat tried again");
    let elsewhere = rig.next(LONG).await;
    assert_eq!(bodies(&elsewhere), ["1"]);
    rig.proxy.clear();
    let late = rig.queue.delete(&one.receipt).await;
    assert!(matches!(late, Err(QueueError::ReceiptExpired { .. })), "{late:?}");
    rig.other.delete(&elsewhere[0].receipt).await.expect("the message is the other's");
}

/// The queue is down for less than that: work in hand goes on, and is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_costs_no_work_in_hand() {
    let Some(rig) = Rig::new().await else { return };
    let visibility = Duration::from_secs(18);
    let one = rig.lease(visibility).await;
    let heart = Heart::start().expect("a thread can be started");
    let lease = Lease::hold(&heart, rig.queue.clone(), one.receipt.clone(), visibility);
    let down = rig.proxy.add(Rule::all(Fault::DropRequest));
    rig.until("a heartbeat meets the outage", |_| down.get() > 0);
    rig.proxy.clear();
    rig.assert_held(visibility).await;
    assert!(!lease.lost().is_cancelled(), "the lease is held");
    rig.queue.delete(&one.receipt).await.expect("acknowledged after the outage");
    rig.assert_empty().await;
}

/// The queue refuses for a while to extend a lease, for a reason that is not the receipt's: the job goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_about_the_receipt_costs_no_work_in_hand() {
    let Some(rig) = Rig::new().await else { return };
    let visibility = Duration::from_secs(18);
    let one = rig.lease(visibility).await;
    let heart = Heart::start().expect("a thread can be started");
    let lease = Lease::hold(&heart, rig.queue.clone(), one.receipt.clone(), visibility);
    let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}"#;
    let denied = Fault::Answer {
        status: 400,
        content_type: "application/x-amz-json-1.0",
        body: body.to_owned(),
    };
    let denied = rig.proxy.add(Rule::of(CHANGE, denied));
    rig.until("the heartbeat tries again", |_| denied.get() > 1);
    rig.proxy.clear();
    rig.assert_held(visibility).await;
    assert!(!lease.lost().is_cancelled(), "the lease is held");
    rig.queue.delete(&one.receipt).await.expect("acknowledged after the refusals");
    rig.assert_empty().await;
}

/// While the queue is down a send fails and says that it may be repeated; repeated, it is delivered once.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_failed_may_be_repeated() {
    let Some(rig) = Rig::new().await else { return };
    let batch = [message("g", "1")];
    // It arrives each time, and nobody hears of it.
    let down = rig.proxy.add(Rule::of(SEND, Fault::DropReply));
    let error = rig.queue.send(&batch).await.expect_err("the queue is down");
    assert!(error.is_retryable(), "{error}");
    assert!(down.get() > 1, "it was tried again");
    rig.proxy.clear();
    rig.queue.send(&batch).await.expect("send");
    assert_eq!(bodies(&rig.next(LONG).await), ["1"]);
}

/// Every fault at random moments, four workers: each message is worked on, those of a group in their order, and
/// nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_at_random_lose_nothing_and_keep_the_order() {
    const MESSAGES: usize = 80;
    const GROUPS: usize = 8;
    let Some(rig) = Rig::new().await else { return };
    let faults = [
        Fault::DropRequest,
        Fault::DropReply,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Throttle,
        Fault::CutBody(10),
        Fault::Delay(Duration::from_millis(300)),
    ];
    let hits = rig.proxy.random(20_260_101, 0.2, &faults);
    let numbers: Vec<usize> = (0..MESSAGES).collect();
    for part in numbers.chunks(10) {
        let batch: Vec<NewMessage> = part
            .iter()
            .map(|number| message(&format!("group-{}", number % GROUPS), &format!("{number:03}")))
            .collect();
        until_done(|| rig.queue.send(&batch)).await.expect("sent in the end");
    }
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let workers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(work(rig.queue.clone(), rig.other.clone(), Arc::clone(&seen))))
        .collect();
    for worker in workers {
        let ended = tokio::time::timeout(Duration::from_secs(180), worker).await;
        ended.expect("the workers finish").expect("no worker fails");
    }
    assert!(hits.get() > 10, "only {} faults", hits.get());
    let mut first_seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, body) in seen.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let bodies = first_seen.entry(group.clone()).or_default();
        if !bodies.contains(body) {
            bodies.push(body.clone());
        }
    }
    assert_eq!(first_seen.values().map(Vec::len).sum::<usize>(), MESSAGES);
    for (group, bodies) in &first_seen {
        assert!(bodies.is_sorted(), "{group}: {bodies:?}");
    }
    rig.assert_empty().await;
}

/// Receives and acknowledges until nothing is left, as the other handle sees it. Notes the group and the body of
/// what it was given.
async fn work(queue: Arc<SqsQueue>, other: Arc<SqsQueue>, seen: Arc<Mutex<Vec<(String, String)>>>) {
    let visibility = Duration::from_secs(5);
    let request = Receive { max: 2, visibility, wait: Duration::from_secs(1) };
    loop {
        let counts = other.counts().await.expect("counts");
        if counts.visible + counts.in_flight == 0 {
            return;
        }
        let received = match queue.receive(request).await {
            Ok(received) => received,
            Err(e) if e.is_retryable() => continue,
            Err(e) => panic!("{e}"),
        };
        for one in received {
            // Before the delete: until then nobody else can receive of this group.
            let note = (one.group, one.body);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(note);
            match until_done(|| queue.delete(&one.receipt)).await {
                Ok(()) => {}
                // The lease has ended, or the message is gone and the answer was lost. If the lease of one has
                // ended, so has that of the next.
                Err(QueueError::ReceiptExpired { .. }) => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// Repeats an operation for as long as that may help.
async fn until_done<T, Trial>(mut operation: impl FnMut() -> Trial) -> Result<T, QueueError>
where
    Trial: Future<Output = Result<T, QueueError>>,
{
    loop {
        match operation().await {
            Err(e) if e.is_retryable() => {}
            outcome => return outcome,
        }
    }
}
