//! The two queues, as far as the night depends on them: order and blocking by group, what waits, what is in hand.

use super::settings::QueueKind;
use crate::scaling::QueueLoad;
use feedfleet_model::image_jobs::BATCH;
use feedfleet_queue::GroupEstimate;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// SQS looks for a group that is free in so many messages of the queue's head, and no further.
const SEARCHED: u64 = 120_000;

/// Crawls: a group is a pipe, and a pipe has one run in a night.
#[derive(Debug, Default)]
pub(super) struct CrawlQueue {
    waiting: VecDeque<usize>,
    in_hand: u64,
}

impl CrawlQueue {
    /// A run of this pipe.
    pub(super) fn send(&mut self, pipe: usize) {
        self.waiting.push_back(pipe);
    }

    pub(super) fn receive(&mut self) -> Option<usize> {
        let pipe = self.waiting.pop_front()?;
        self.in_hand += 1;
        Some(pipe)
    }

    pub(super) fn delete(&mut self) {
        self.in_hand -= 1;
    }

    /// An interrupted run is the oldest again.
    pub(super) fn release(&mut self, pipe: usize) {
        self.in_hand -= 1;
        self.waiting.push_front(pipe);
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn load(&self) -> QueueLoad {
        let (visible, in_flight) = (self.waiting(), self.in_hand);
        let runnable_groups = GroupEstimate::EachItsOwn.runnable(visible, in_flight);
        QueueLoad { visible, in_flight, runnable_groups }
    }
}

/// A message with pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pictures {
    /// The pipe.
    pub pipe: usize,
    /// The host and shard.
    pub group: usize,
    /// The sending it belongs to; earlier ones are older.
    sending: usize,
    /// How many.
    pub count: u64,
    /// Of these, what an earlier attempt has mirrored.
    pub known: u64,
}

/// Messages of one sending in one group: all full, but for the last.
#[derive(Debug)]
struct Portion {
    pipe: usize,
    sending: usize,
    pictures: u64,
}

#[derive(Debug, Default)]
struct Group {
    portions: VecDeque<Portion>,
    /// What was handed back: the head of the group again.
    returned: Option<Pictures>,
    /// Messages in hand: the group is blocked meanwhile.
    in_hand: bool,
}

impl Group {
    /// The sending of the message at its head.
    fn head(&self) -> Option<usize> {
        let returned = self.returned.map(|pictures| pictures.sending);
        returned.or_else(|| self.portions.front().map(|portion| portion.sending))
    }

    fn take(&mut self, group: usize) -> Option<Pictures> {
        if let Some(returned) = self.returned.take() {
            return Some(returned);
        }
        let portion = self.portions.front_mut()?;
        let count = portion.pictures.min(BATCH as u64);
        portion.pictures -= count;
        let (pipe, sending) = (portion.pipe, portion.sending);
        if portion.pictures == 0 {
            self.portions.pop_front();
        }
        Some(Pictures { pipe, group, sending, count, known: 0 })
    }
}

/// Pictures: a group is one of its host's shards.
#[derive(Debug)]
pub(super) struct ImageQueue {
    kind: QueueKind,
    shards: usize,
    groups: Vec<Group>,
    /// Groups that are free and have a message: the oldest head first, then the one that has waited longest.
    runnable: BinaryHeap<Reverse<(usize, u64, usize)>>,
    turn: u64,
    /// Messages of each sending that are not deleted yet.
    undeleted: Vec<u64>,
    /// The first sending of which some are left.
    oldest: usize,
    visible: u64,
    in_hand: u64,
    waiting_pictures: u64,
}

impl ImageQueue {
    /// A queue for so many hosts, each with so many shards.
    pub(super) fn new(kind: QueueKind, hosts: usize, shards: usize) -> Self {
        let shards = shards.max(1);
        let mut groups = Vec::new();
        groups.resize_with(hosts * shards, Group::default);
        Self {
            kind,
            shards,
            groups,
            runnable: BinaryHeap::new(),
            turn: 0,
            undeleted: Vec::new(),
            oldest: 0,
            visible: 0,
            in_hand: 0,
            waiting_pictures: 0,
        }
    }

    /// A pipe's pictures, in batches that are dealt to the host's shards in turn. How many messages that is.
    pub(super) fn send(&mut self, pipe: usize, host: usize, pictures: u64) -> u64 {
        let sending = self.undeleted.len();
        let (batch, shards) = (BATCH as u64, self.shards as u64);
        let messages = pictures.div_ceil(batch);
        for shard in 0..shards.min(messages) {
            let mine = (messages - shard).div_ceil(shards);
            let has_last = (messages - 1) % shards == shard;
            let missing = if has_last { messages * batch - pictures } else { 0 };
            let group = host * self.shards + shard as usize;
            let portion = Portion { pipe, sending, pictures: mine * batch - missing };
            let was_empty = self.groups[group].head().is_none();
            self.groups[group].portions.push_back(portion);
            if was_empty && !self.groups[group].in_hand {
                self.make_runnable(group);
            }
        }
        self.undeleted.push(messages);
        self.visible += messages;
        self.waiting_pictures += pictures;
        messages
    }

    /// A message of a group that is free.
    pub(super) fn receive(&mut self) -> Option<Pictures> {
        let Reverse((sending, _, group)) = *self.runnable.peek()?;
        if self.kind == QueueKind::Sqs && self.is_beyond_search(sending) {
            return None;
        }
        self.runnable.pop();
        let pictures = self.groups[group].take(group)?;
        self.groups[group].in_hand = true;
        self.visible -= 1;
        self.in_hand += 1;
        self.waiting_pictures -= pictures.count;
        Some(pictures)
    }

    pub(super) fn delete(&mut self, pictures: &Pictures) {
        self.in_hand -= 1;
        self.undeleted[pictures.sending] -= 1;
        while self.undeleted.get(self.oldest) == Some(&0) {
            self.oldest += 1;
        }
        self.unblock(pictures.group);
    }

    /// An interrupted message is the head of its group again. `known`: pictures in it that are mirrored.
    pub(super) fn release(&mut self, pictures: &Pictures, known: u64) {
        self.in_hand -= 1;
        self.visible += 1;
        self.waiting_pictures += pictures.count;
        let known = known.max(pictures.known);
        self.groups[pictures.group].returned = Some(Pictures { known, ..*pictures });
        self.unblock(pictures.group);
    }

    /// Pictures that wait.
    pub(super) fn waiting_pictures(&self) -> u64 {
        self.waiting_pictures
    }

    pub(super) fn is_empty(&self) -> bool {
        self.visible == 0 && self.in_hand == 0
    }

    pub(super) fn load(&self) -> QueueLoad {
        let (visible, in_flight) = (self.visible, self.in_hand);
        let runnable_groups = match self.kind {
            QueueKind::Sqs => GroupEstimate::Backlogs.runnable(visible, in_flight),
            QueueKind::Exact => self.runnable.len() as u64,
        };
        QueueLoad { visible, in_flight, runnable_groups }
    }

    fn unblock(&mut self, group: usize) {
        self.groups[group].in_hand = false;
        if self.groups[group].head().is_some() {
            self.make_runnable(group);
        }
    }

    fn make_runnable(&mut self, group: usize) {
        if let Some(sending) = self.groups[group].head() {
            self.runnable.push(Reverse((sending, self.turn, group)));
            self.turn += 1;
        }
    }

    /// Whether so many older messages are there that SQS does not come as far as this sending.
    fn is_beyond_search(&self, sending: usize) -> bool {
        if self.visible + self.in_hand <= SEARCHED {
            return false;
        }
        let older = self.undeleted.get(self.oldest..sending).unwrap_or_default();
        older.iter().sum::<u64>() >= SEARCHED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut ImageQueue) -> Vec<Pictures> {
        std::iter::from_fn(|| queue.receive()).collect()
    }

    #[test]
    fn a_group_gives_its_next_message_when_the_last_one_is_settled() {
        let mut queue = ImageQueue::new(QueueKind::Exact, 2, 2);
        assert_eq!(queue.send(0, 0, 70), 4);
        assert_eq!(queue.send(1, 1, 10), 1);
        let load = QueueLoad { visible: 5, in_flight: 0, runnable_groups: 3 };
        assert_eq!(queue.load(), load);
        let first = drain(&mut queue);
        let shown: Vec<_> = first.iter().map(|p| (p.pipe, p.group, p.count)).collect();
        assert_eq!(shown, [(0, 0, 20), (0, 1, 20), (1, 2, 10)]);
        assert_eq!(queue.waiting_pictures(), 30);
        assert_eq!(queue.load(), QueueLoad { visible: 2, in_flight: 3, runnable_groups: 0 });

        queue.delete(&first[1]);
        let next = drain(&mut queue);
        assert_eq!((next.len(), next[0].group, next[0].count), (1, 1, 10), "the last batch");
        queue.release(&first[0], 7);
        let again = drain(&mut queue);
        assert_eq!((again[0].count, again[0].known), (20, 7), "the head of its group again");
        for pictures in [again[0], next[0], first[2]] {
            queue.delete(&pictures);
        }
        let last = drain(&mut queue);
        assert_eq!((last.len(), last[0].count), (1, 20));
        queue.delete(&last[0]);
        assert!(queue.is_empty());
        assert_eq!((queue.waiting_pictures(), queue.oldest), (0, 2));
    }

    #[test]
    fn sqs_does_not_find_what_lies_behind_a_long_backlog() {
        let found = |kind| {
            let mut queue = ImageQueue::new(kind, 2, 1);
            queue.send(0, 0, SEARCHED * BATCH as u64);
            queue.send(1, 1, 20);
            let received = drain(&mut queue);
            let mut pipes: Vec<_> = received.iter().map(|pictures| pictures.pipe).collect();
            queue.delete(&received[0]);
            pipes.extend(drain(&mut queue).iter().map(|pictures| pictures.pipe));
            pipes
        };
        assert_eq!(found(QueueKind::Exact), [0, 1, 0]);
        assert_eq!(found(QueueKind::Sqs), [0, 0, 1], "one fewer is before it");
    }

    #[test]
    fn an_interrupted_run_is_the_oldest_again() {
        let mut queue = CrawlQueue::default();
        for pipe in [3, 5] {
            queue.send(pipe);
        }
        assert_eq!(queue.receive(), Some(3));
        queue.release(3);
        assert_eq!((queue.receive(), queue.receive(), queue.receive()), (Some(3), Some(5), None));
        assert_eq!(queue.load(), QueueLoad { visible: 0, in_flight: 2, runnable_groups: 0 });
        queue.delete();
        assert_eq!(queue.load().in_flight, 1);
    }
}
