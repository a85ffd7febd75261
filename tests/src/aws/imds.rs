//! The metadata service of one instance, after AWS's documentation: a session token first, then what the test says
//! about the instance's future. What it does not say is not there.

use crate::{Reply, Server};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const TOKEN: &str = "a-session-token";
const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// A metadata service on a port of its own; it stops when it goes out of scope.
pub struct Imds {
    server: Server,
    items: Arc<Mutex<Items>>,
}

/// What the instance says, each as its body.
#[derive(Default)]
struct Items {
    instance: String,
    target: Option<String>,
    spot: Option<String>,
    rebalance: Option<String>,
}

impl Imds {
    /// The service of this instance, which its group takes into service.
    pub fn start(instance: &str) -> Self {
        let target = Some("InService".to_owned());
        let items = Items { instance: instance.to_owned(), target, ..Items::default() };
        let items = Arc::new(Mutex::new(items));
        let told = Arc::clone(&items);
        let server = Server::start(move |path, headers| {
            let header = |name: &str| {
                headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
            };
            if path == "/latest/api/token" {
                return match header(TOKEN_TTL) {
                    Some(ttl) => Reply::ok(TOKEN).header(TOKEN_TTL, ttl),
                    None => Reply::status(400),
                };
            }
            if header("x-aws-ec2-metadata-token") != Some(TOKEN) {
                return Reply::status(401);
            }
            let items = lock(&told);
            let item = match path {
                "/latest/meta-data/instance-id" => Some(items.instance.clone()),
                "/latest/meta-data/autoscaling/target-lifecycle-state" => items.target.clone(),
                "/latest/meta-data/spot/instance-action" => items.spot.clone(),
                "/latest/meta-data/events/recommendations/rebalance" => items.rebalance.clone(),
                _ => None,
            };
            item.map_or(Reply::status(404), Reply::ok)
        });
        Self { server, items }
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.base_url()
    }

    /// Gives the notice of a spot interruption, two minutes before.
    pub fn interrupt(&self) {
        let notice = r#"{"action": "terminate", "time": "2030-01-01T00:02:00Z"}"#;
        lock(&self.items).spot = Some(notice.to_owned());
    }

    /// Recommends to rebalance.
    pub fn recommend_rebalance(&self) {
        let notice = r#"{"noticeTime": "2030-01-01T00:00:00Z"}"#;
        lock(&self.items).rebalance = Some(notice.to_owned());
    }

    /// Says where the group is taking the instance, such as `Terminated`.
    pub fn target(&self, state: &str) {
        lock(&self.items).target = Some(state.to_owned());
    }
}

fn lock(items: &Mutex<Items>) -> MutexGuard<'_, Items> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}
