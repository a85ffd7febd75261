//! A queue of ministack, and two ways to it: through a proxy that brings faults about, and past it, as another
//! worker would.

use feedfleet_aws::SqsQueue;
use feedfleet_queue::{NewMessage, Queue, Receive, Received};
use feedfleet_tests::aws::{Ministack, Proxy, Queues, aws_at};
use feedfleet_tests::eventually;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any of these tests takes.
pub const LONG: Duration = Duration::from_secs(600);
/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A queue, and two ways to it.
pub struct Rig {
    /// Through the proxy.
    pub queue: Arc<SqsQueue>,
    /// Past it.
    pub other: Arc<SqsQueue>,
    pub proxy: Proxy,
    // The last to go: the handles and the proxy end their calls to it first.
    _ministack: Ministack,
}

impl Rig {
    /// None where ministack is not installed, which was said.
    pub async fn new() -> Option<Self> {
        let ministack = Ministack::start()?;
        let proxy = Proxy::before(&ministack.url());
        let aws = aws_at(&ministack.url()).await;
        let pair = Queues::new(&aws).pair(1_000).await;
        let queue = Arc::new(pair.open(&aws_at(&proxy.url()).await));
        let other = Arc::new(pair.open(&aws));
        Some(Self { queue, other, proxy, _ministack: ministack })
    }

    /// Sends one message past the proxy, and receives it through the proxy.
    pub async fn lease(&self, visibility: Duration) -> Received {
        self.other.send(&[message("g", "1")]).await.expect("send");
        let request = Receive { max: 1, visibility, wait: PATIENCE };
        self.queue.receive(request).await.expect("receive").remove(0)
    }

    /// What the other handle gets within ten seconds.
    pub async fn next(&self, visibility: Duration) -> Vec<Received> {
        let request = Receive { max: 10, visibility, wait: PATIENCE };
        self.other.receive(request).await.expect("receive")
    }

    /// Nobody else gets a message for so long.
    pub async fn assert_held(&self, wait: Duration) {
        let request = Receive { max: 1, visibility: LONG, wait };
        assert_eq!(bodies(&self.other.receive(request).await.expect("receive")), [""; 0]);
    }

    /// Waits until `happened`.
    pub fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        tokio::task::block_in_place(|| {
            eventually(PATIENCE * 3, what, || happened(self).then_some(()))
        });
    }

    pub async fn assert_empty(&self) {
        let counts = self.other.counts().await.expect("counts");
        assert_eq!((counts.visible, counts.in_flight, counts.dead), (0, 0, 0));
    }
}

pub fn message(group: &str, body: &str) -> NewMessage {
    NewMessage { group: group.to_owned(), dedup_id: body.to_owned(), body: body.to_owned() }
}

pub fn now(max: usize, visibility: Duration) -> Receive {
    Receive { max, visibility, wait: Duration::ZERO }
}

pub fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|one| one.body.as_str()).collect()
}
