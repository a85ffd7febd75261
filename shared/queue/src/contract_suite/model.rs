//! The queue as a list: slow, in memory, and short enough to be seen to be right.

use std::time::Duration;

use crate::contract::Counts;

const DEDUP_MS: i64 = 5 * 60 * 1_000;
const CEILING_MS: i64 = 12 * 60 * 60 * 1_000;

/// A message; `number` counts the delivered sends from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub number: usize,
    pub group: String,
    pub body: String,
    pub sent_at_ms: i64,
    pub receive_count: u32,
    pub first_received_at_ms: i64,
    received_at_ms: i64,
    /// 0: never received, or released.
    lease_until_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    pub message: Message,
    pub reason: String,
    pub died_at_ms: i64,
}

/// What became of an operation on a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    ReceiptExpired,
    Invalid,
}

/// A receipt: the message's number and the receive it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelReceipt {
    pub number: usize,
    pub receive_count: u32,
}

#[derive(Debug)]
pub struct Model {
    now_ms: i64,
    max_receives: u32,
    next_number: usize,
    messages: Vec<Message>,
    /// Group, deduplication id, number of the message, when it was sent.
    remembered: Vec<(String, String, usize, i64)>,
    dead: Vec<Dead>,
}

impl Model {
    pub fn new(now_ms: i64, max_receives: u32) -> Self {
        Self {
            now_ms,
            max_receives,
            next_number: 0,
            messages: Vec::new(),
            remembered: Vec::new(),
            dead: Vec::new(),
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub fn advance(&mut self, by_ms: i64) {
        self.now_ms += by_ms;
    }

    /// The number of the message that is delivered for it, and whether this is a duplicate.
    pub fn send(&mut self, group: &str, dedup_id: &str, body: &str) -> (usize, bool) {
        let now_ms = self.now_ms;
        let earlier = self.remembered.iter().find(|(g, d, _, sent_at_ms)| {
            g == group && d == dedup_id && now_ms < sent_at_ms + DEDUP_MS
        });
        if let Some((_, _, number, _)) = earlier {
            return (*number, true);
        }
        let number = self.next_number;
        self.next_number += 1;
        let remembered = (group.to_owned(), dedup_id.to_owned(), number, now_ms);
        self.remembered.push(remembered);
        self.messages.push(Message {
            number,
            group: group.to_owned(),
            body: body.to_owned(),
            sent_at_ms: now_ms,
            receive_count: 0,
            first_received_at_ms: 0,
            received_at_ms: 0,
            lease_until_ms: 0,
        });
        (number, false)
    }

    pub fn receive(&mut self, max: usize, visibility_ms: i64) -> Vec<Message> {
        let blocked: Vec<String> = self.messages_in_flight().map(|one| one.group.clone()).collect();
        let mut received = Vec::new();
        let mut at = 0;
        while at < self.messages.len() && received.len() < max {
            if blocked.contains(&self.messages[at].group) {
                at += 1;
                continue;
            }
            let times = self.messages[at].receive_count;
            if times >= self.max_receives {
                self.bury(at, format!("received {times} times without being settled"));
                continue;
            }
            received.push(self.lease_at(at, visibility_ms));
            at += 1;
        }
        received
    }

    /// Leases what a backend chose to give, which may be less than there is, and of groups in another order.
    /// Says why it may not give that.
    pub fn lease(&mut self, given: &[String], visibility_ms: i64) -> Result<Vec<Message>, String> {
        let blocked: Vec<String> = self.messages_in_flight().map(|one| one.group.clone()).collect();
        let free = |message: &&Message| !blocked.contains(&message.group);
        if given.is_empty()
            && let Some(waiting) = self.messages.iter().find(free)
        {
            return Err(format!("nothing came, and {} of a free group waits", waiting.body));
        }
        let mut leased: Vec<Message> = Vec::new();
        for body in given {
            let Some(at) = self.messages.iter().position(|message| message.body == *body) else {
                return Err(format!("{body} is not on the queue"));
            };
            let message = &self.messages[at];
            if blocked.contains(&message.group) {
                return Err(format!("{body} came while its group is in flight"));
            }
            let earlier = &self.messages[..at];
            if earlier.iter().any(|one| one.group == message.group && !leased.contains(one)) {
                return Err(format!("{body} overtook an earlier message of its group"));
            }
            leased.push(self.lease_at(at, visibility_ms));
        }
        Ok(leased)
    }

    /// When leases end, or have ended by themselves.
    pub fn lease_ends_ms(&self) -> impl Iterator<Item = i64> {
        self.messages.iter().map(|message| message.lease_until_ms).filter(|end_ms| *end_ms > 0)
    }

    /// Whether the message has been deleted, or is dead.
    pub fn is_gone(&self, number: usize) -> bool {
        self.messages.iter().all(|message| message.number != number)
    }

    /// Whether no message is left; dead letters do not count.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn extend(&mut self, receipt: ModelReceipt, visibility_ms: i64) -> Outcome {
        let Some(at) = self.held(receipt) else {
            return Outcome::ReceiptExpired;
        };
        let lease_until_ms = self.now_ms + visibility_ms;
        if lease_until_ms > self.messages[at].received_at_ms + CEILING_MS {
            return Outcome::Invalid;
        }
        let released = visibility_ms == 0;
        self.messages[at].lease_until_ms = if released { 0 } else { lease_until_ms };
        Outcome::Done
    }

    pub fn release(&mut self, receipt: ModelReceipt) -> Outcome {
        self.extend(receipt, 0)
    }

    pub fn delete(&mut self, receipt: ModelReceipt) -> Outcome {
        let Some(at) = self.held(receipt) else {
            return Outcome::ReceiptExpired;
        };
        self.messages.remove(at);
        Outcome::Done
    }

    pub fn dead_letter(&mut self, receipt: ModelReceipt, reason: &str) -> Outcome {
        let Some(at) = self.held(receipt) else {
            return Outcome::ReceiptExpired;
        };
        self.bury(at, reason.to_owned());
        Outcome::Done
    }

    /// The dead letters, the longest dead first; of one moment, the earlier sent first.
    pub fn dead(&self) -> Vec<Dead> {
        let mut dead = self.dead.clone();
        dead.sort_by_key(|letter| (letter.died_at_ms, letter.message.number));
        dead
    }

    pub fn forget_dead(&mut self, number: usize) -> bool {
        let before = self.dead.len();
        self.dead.retain(|letter| letter.message.number != number);
        self.dead.len() < before
    }

    pub fn counts(&self) -> Counts {
        let blocked: Vec<&str> = self.messages_in_flight().map(|one| one.group.as_str()).collect();
        let mut runnable: Vec<&str> = self
            .messages
            .iter()
            .map(|message| message.group.as_str())
            .filter(|group| !blocked.contains(group))
            .collect();
        runnable.sort_unstable();
        runnable.dedup();
        let oldest = self.messages.first();
        Counts {
            visible: (self.messages.len() - blocked.len()) as u64,
            in_flight: blocked.len() as u64,
            oldest_age: oldest.map(|message| {
                Duration::from_millis((self.now_ms - message.sent_at_ms).unsigned_abs())
            }),
            runnable_groups: runnable.len() as u64,
            dead: self.dead.len() as u64,
        }
    }

    fn lease_at(&mut self, at: usize, visibility_ms: i64) -> Message {
        let message = &mut self.messages[at];
        message.receive_count += 1;
        if message.receive_count == 1 {
            message.first_received_at_ms = self.now_ms;
        }
        message.received_at_ms = self.now_ms;
        message.lease_until_ms = self.now_ms + visibility_ms;
        message.clone()
    }

    fn messages_in_flight(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| self.is_in_flight(message))
    }

    fn is_in_flight(&self, message: &Message) -> bool {
        message.lease_until_ms > self.now_ms
    }

    fn held(&self, receipt: ModelReceipt) -> Option<usize> {
        self.messages.iter().position(|message| {
            message.number == receipt.number
                && message.receive_count == receipt.receive_count
                && self.is_in_flight(message)
        })
    }

    fn bury(&mut self, at: usize, reason: String) {
        let message = self.messages.remove(at);
        self.dead.push(Dead { message, reason, died_at_ms: self.now_ms });
    }
}
