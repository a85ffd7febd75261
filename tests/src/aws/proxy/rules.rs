//! Which requests meet which fault.

use super::refusal;
use super::wire::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A request, as rules see it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, query included, encoded as it came.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body as it came, chunks included.
    pub body: Vec<u8>,
    /// What it asks for: the service's name of it, such as `SendMessageBatch`; of S3, where that is not said, the
    /// method.
    pub operation: String,
}

impl Request {
    pub(super) fn of(message: &Message) -> Self {
        let mut words = message.first_line().into_iter();
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let headers = message.headers();
        let body = message.body.clone();
        let mut request = Self { method, path, headers, body, operation: String::new() };
        request.operation = request.named_operation().unwrap_or_else(|| request.method.clone());
        request
    }

    /// A header's value; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is a request of S3 with this method, whose path or query holds this text.
    pub fn is(&self, method: &str, text: &str) -> bool {
        self.method == method && self.path.contains(text)
    }

    /// The three ways in which AWS's protocols name it: a header, the path, a field of a form.
    fn named_operation(&self) -> Option<String> {
        if let Some(target) = self.header("x-amz-target") {
            return target.rsplit('.').next().map(str::to_owned);
        }
        if let Some((_, operation)) = self.path.split_once("/operation/") {
            return Some(operation.to_owned());
        }
        let form = self.header("content-type")?.starts_with("application/x-www-form-urlencoded");
        let text = String::from_utf8_lossy(&self.body);
        let action = text.split('&').find_map(|field| field.strip_prefix("Action="));
        action.filter(|_| form).map(str::to_owned)
    }
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It reaches the server so much later.
    Delay(Duration),
    /// It reaches the server at once, and the reply the client so much later.
    DelayReply(Duration),
    /// It never reaches the server; the connection is closed.
    DropRequest,
    /// It takes effect, and the connection is closed without the reply.
    DropReply,
    /// As `DropReply`; the next request for the operation gets that reply, and goes no further. SQS does so for a
    /// receive that is repeated under its attempt id, which no stand-in knows.
    DropReplyAndRepeat,
    /// It takes effect, and the connection is closed after so many bytes of the reply's body.
    CutBody(usize),
    /// It never reaches the server; the service fails with this status, 500 or 503.
    Status(u16),
    /// It never reaches the server; the service says that it is asked too often, in its own words.
    Throttle,
    /// It never reaches the server; this is the answer.
    Answer {
        /// The status.
        status: u16,
        /// The body's type.
        content_type: &'static str,
        /// The body.
        body: String,
    },
}

impl Fault {
    /// S3's answer with this status and error code.
    pub fn s3(status: u16, code: &str) -> Self {
        let body = refusal::s3_body(code, "a test");
        Self::Answer { status, content_type: refusal::XML, body }
    }
}

type Wants = Box<dyn Fn(&Request) -> bool + Send + Sync>;

/// A fault for chosen requests; for all of them, always, unless it says otherwise.
pub struct Rule {
    wants: Wants,
    fault: Fault,
    left: usize,
}

impl Rule {
    /// For requests that `wants` answers with true.
    pub fn when(wants: impl Fn(&Request) -> bool + Send + Sync + 'static, fault: Fault) -> Self {
        Self { wants: Box::new(wants), fault, left: usize::MAX }
    }

    /// For one operation, such as `SendMessageBatch`. See [`Request::operation`].
    pub fn of(operation: &'static str, fault: Fault) -> Self {
        Self::when(move |request| request.operation == operation, fault)
    }

    /// For all requests.
    pub fn all(fault: Fault) -> Self {
        Self::when(|_| true, fault)
    }

    /// Ends after so many faults.
    #[must_use]
    pub fn times(mut self, faults: usize) -> Self {
        self.left = faults;
        self
    }

    /// Ends after one fault.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// How often a fault has happened. A test that never met its fault has shown nothing.
#[derive(Debug, Clone, Default)]
pub struct Hits(Arc<AtomicUsize>);

impl Hits {
    /// So often until now.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Random {
    state: u64,
    probability: f64,
    faults: Vec<Fault>,
    hits: Hits,
}

#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<(Rule, Hits)>,
    random: Option<Random>,
    requests: BTreeMap<String, usize>,
}

impl Rules {
    pub fn add(&mut self, rule: Rule) -> Hits {
        let hits = Hits::default();
        self.rules.push((rule, hits.clone()));
        hits
    }

    pub fn random(&mut self, seed: u64, probability: f64, faults: &[Fault]) -> Hits {
        assert!(!faults.is_empty(), "random faults need faults");
        let hits = Hits::default();
        let faults = faults.to_vec();
        self.random = Some(Random { state: seed, probability, faults, hits: hits.clone() });
        hits
    }

    pub fn clear(&mut self) {
        self.rules.clear();
        self.random = None;
    }

    pub fn requests(&self, operation: &str) -> usize {
        self.requests.get(operation).copied().unwrap_or(0)
    }

    /// Counts the request, and says which fault it meets.
    pub fn fault_of(&mut self, request: &Request) -> Option<Fault> {
        *self.requests.entry(request.operation.clone()).or_default() += 1;
        for (rule, hits) in &mut self.rules {
            if rule.left == 0 || !(rule.wants)(request) {
                continue;
            }
            if rule.left < usize::MAX {
                rule.left -= 1;
            }
            hits.add();
            return Some(rule.fault.clone());
        }
        self.random.as_mut().and_then(Random::draw)
    }
}

impl Random {
    fn draw(&mut self) -> Option<Fault> {
        // 53 bits: what a float between 0 and 1 can tell apart.
        let share = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        let choice = self.bits();
        if share >= self.probability {
            return None;
        }
        self.hits.add();
        let index = choice % self.faults.len() as u64;
        usize::try_from(index).ok().and_then(|index| self.faults.get(index)).cloned()
    }

    /// SplitMix64.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
