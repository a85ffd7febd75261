//! Auto Scaling's lifecycle actions, which no stand-in has, after AWS's documentation: a proxy before moto that answers
//! for them, and passes everything else on.

use super::{Fault, Proxy, Request, Rule};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const COMPLETE: &str = "CompleteLifecycleAction";

/// The proxy, and what it has seen.
pub struct Lifecycle {
    proxy: Proxy,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Instances in `Terminating:Wait`.
    waiting: BTreeSet<String>,
    completed: BTreeSet<String>,
    protected: BTreeSet<String>,
}

impl Lifecycle {
    /// A proxy before the Auto Scaling at `url`, for the hook `hook` of the group `group`.
    pub fn before(url: &str, group: &str, hook: &str) -> Self {
        let proxy = Proxy::before(url);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let noted = Arc::clone(&seen);
        // No fault at all: it only looks.
        proxy.add(Rule::when(move |request| note(&noted, request), Fault::DropRequest));
        let completing = Arc::clone(&seen);
        let right = [
            ("AutoScalingGroupName", group.to_owned()),
            ("LifecycleHookName", hook.to_owned()),
            ("LifecycleActionResult", "CONTINUE".to_owned()),
        ];
        let completes = move |request: &Request| {
            let is_right =
                right.iter().all(|(name, value)| field(request, name) == Some(value.as_str()));
            request.operation == COMPLETE && is_right && complete(&completing, request)
        };
        proxy.add(Rule::when(completes, answer(200, completed())));
        proxy.add(Rule::of(COMPLETE, answer(400, nothing_waits())));
        Self { proxy, seen }
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        self.proxy.url()
    }

    /// The hook holds an instance that is to end, until somebody completes its action.
    pub fn hold(&self, instance: &str) {
        lock(&self.seen).waiting.insert(instance.to_owned());
    }

    /// Whether the instance's action was completed while it waited.
    pub fn is_completed(&self, instance: &str) -> bool {
        lock(&self.seen).completed.contains(instance)
    }

    /// Whether the instance was ever protected from scale-in.
    pub fn was_protected(&self, instance: &str) -> bool {
        lock(&self.seen).protected.contains(instance)
    }

    /// Requests for this operation so far.
    pub fn requests(&self, operation: &str) -> usize {
        self.proxy.requests(operation)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A field of a request's form. None of those here has a character that would be encoded.
fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(&request.body).ok()?;
    text.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// Never true: the request goes on.
fn note(seen: &Mutex<Seen>, request: &Request) -> bool {
    if request.operation == "SetInstanceProtection"
        && field(request, "ProtectedFromScaleIn") == Some("true")
        && let Some(instance) = field(request, "InstanceIds.member.1")
    {
        lock(seen).protected.insert(instance.to_owned());
    }
    false
}

/// Whether the instance waited for it.
fn complete(seen: &Mutex<Seen>, request: &Request) -> bool {
    let Some(instance) = field(request, "InstanceId") else { return false };
    let mut seen = lock(seen);
    let waited = seen.waiting.remove(instance);
    if waited {
        seen.completed.insert(instance.to_owned());
    }
    waited
}

fn answer(status: u16, body: String) -> Fault {
    Fault::Answer { status, content_type: "text/xml", body }
}

fn completed() -> String {
    "<CompleteLifecycleActionResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
     <CompleteLifecycleActionResult/>\
     <ResponseMetadata><RequestId>test</RequestId></ResponseMetadata>\
     </CompleteLifecycleActionResponse>"
        .to_owned()
}

fn nothing_waits() -> String {
    "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error>\
     <Type>Sender</Type><Code>ValidationError</Code>\
     <Message>No active Lifecycle Action found with instance ID</Message>\
     </Error><RequestId>test</RequestId></ErrorResponse>"
        .to_owned()
}
