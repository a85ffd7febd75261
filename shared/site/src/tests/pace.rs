//! The pace of a host, in simulated time.

use super::at;
use crate::pace::{GOOD_ANSWERS, MAX_GAP, MAX_LATENCY_GAP, MIN_SLOW_GAP};
use crate::{Allowance, Answer, Pace, Ready};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use std::time::Duration;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn answer(status: u16, latency: u64) -> Answer {
    Answer { status: Some(status), latency: ms(latency), retry_after: None }
}

/// One request after the other, each as soon as it may begin; gives when the last one ended.
fn ask(pace: &mut Pace, mut now: DateTime<Utc>, answers: &[Answer]) -> DateTime<Utc> {
    for answer in answers {
        let Ready::At(start) = pace.ready_at(now) else { panic!("nothing is under way") };
        pace.began(start);
        now = start + answer.latency;
        pace.ended(now, answer);
    }
    now
}

#[test]
fn a_quick_host_is_asked_as_often_as_it_allows() {
    let mut pace = Pace::new(Allowance { at_once: 2, gap: ms(100) });
    assert_eq!(pace.ready_at(at(0)), Ready::At(at(0)));
    pace.began(at(0));
    let second = at(0) + ms(100);
    assert_eq!(pace.ready_at(at(0)), Ready::At(second));
    pace.began(second);
    assert_eq!(pace.ready_at(at(9)), Ready::WhenOneEnds);
    pace.ended(at(9), &answer(200, 9_000));
    assert_eq!(pace.ready_at(at(9)), Ready::At(at(9)));
    let mut pace = Pace::new(Allowance { at_once: 0, gap: ms(0) });
    let end = ask(&mut pace, at(0), &[answer(200, 10); 100]);
    assert_eq!(end, at(1), "no time is lost");
}

#[test]
fn a_clock_that_was_set_back_stops_nobody() {
    let mut pace = Pace::new(Allowance { at_once: 2, gap: ms(1_000) });
    pace.began(at(3_600));
    assert_eq!(pace.ready_at(at(0)), Ready::At(at(0)));
    pace.began(at(0));
    assert_eq!(pace.ready_at(at(0)), Ready::WhenOneEnds);
    pace.ended(at(0), &answer(200, 0));
    assert_eq!(pace.ready_at(at(0)), Ready::At(at(1)));
}

#[test]
fn refusals_double_the_gap_and_halve_the_requests_at_once() {
    let mut pace = Pace::new(Allowance { at_once: 4, gap: ms(100) });
    let now = ask(&mut pace, at(0), &[answer(429, 10)]);
    assert_eq!((pace.gap(), pace.at_once()), (MIN_SLOW_GAP, 2));
    assert_eq!(pace.ready_at(now), Ready::At(now + MIN_SLOW_GAP), "nothing at all for a while");
    ask(&mut pace, now, &[answer(503, 10)]);
    assert_eq!((pace.gap(), pace.at_once()), (MIN_SLOW_GAP * 2, 1));
    let now = ask(&mut pace, now, &[answer(503, 10); 20]);
    assert_eq!((pace.gap(), pace.at_once()), (MAX_GAP, 1));
    // It recovers slowly, and never beyond what is allowed.
    ask(&mut pace, now, &[answer(200, 10); GOOD_ANSWERS as usize]);
    assert!(pace.gap() < MAX_GAP && pace.gap() > MAX_GAP / 2, "{:?}", pace.gap());
    let saved = serde_json::to_vec(&pace).unwrap();
    let mut pace: Pace = serde_json::from_slice(&saved).unwrap();
    ask(&mut pace, now, &[answer(200, 10); 500]);
    assert_eq!((pace.gap(), pace.at_once()), (ms(100), 4));
}

#[test]
fn answers_of_one_moment_slow_down_once() {
    let mut pace = Pace::new(Allowance { at_once: 8, gap: ms(0) });
    for _ in 0..8 {
        pace.began(at(0));
    }
    for _ in 0..8 {
        pace.ended(at(1), &answer(429, 1_000));
    }
    assert_eq!((pace.gap(), pace.at_once()), (MIN_SLOW_GAP, 4));
}

#[test]
fn retry_after_is_waited_for() {
    let mut pace = Pace::new(Allowance { at_once: 4, gap: ms(0) });
    pace.began(at(0));
    pace.began(at(0));
    let wait = Some(Duration::from_secs(120));
    pace.ended(at(1), &Answer { retry_after: wait, ..answer(503, 1_000) });
    pace.ended(at(2), &Answer { retry_after: Some(ms(5)), ..answer(503, 2_000) });
    assert_eq!(pace.ready_at(at(2)), Ready::At(at(121)), "the longer one counts");
}

#[test]
fn a_host_that_becomes_slow_is_asked_less_and_recovers() {
    let allowance = Allowance { at_once: 1, gap: ms(0) };
    let mut pace = Pace::new(allowance);
    let now = ask(&mut pace, at(0), &[answer(200, 40); 30]);
    assert_eq!(pace.gap(), ms(0));
    let now = ask(&mut pace, now, &[answer(200, 900); 12]);
    assert!(pace.gap() > ms(20) && pace.gap() <= MAX_LATENCY_GAP, "{:?}", pace.gap());
    ask(&mut pace, now, &[answer(200, 40); 400]);
    assert_eq!(pace.gap(), ms(0));
    // One that is slow from the start is just slow.
    let mut pace = Pace::new(allowance);
    ask(&mut pace, at(0), &[answer(200, 900); 30]);
    assert_eq!(pace.gap(), ms(0));
}

#[test]
fn hosts_that_do_not_answer_are_asked_less() {
    let mut pace = Pace::new(Allowance { at_once: 1, gap: ms(0) });
    let silence = Answer { status: None, latency: ms(100), retry_after: None };
    ask(&mut pace, at(0), &[silence; 60]);
    assert_eq!(pace.gap(), MAX_LATENCY_GAP);
}

#[test]
fn a_longer_delay_holds_at_once() {
    let mut pace = Pace::new(Allowance { at_once: 4, gap: ms(0) });
    pace.began(at(0));
    pace.allow(Allowance { at_once: 2, gap: ms(3_000) });
    assert_eq!((pace.ready_at(at(1)), pace.at_once()), (Ready::At(at(3)), 2));
    // So does a shorter one, unless the host has taught the longer.
    pace.allow(Allowance { at_once: 4, gap: ms(1_000) });
    assert_eq!(pace.gap(), ms(1_000));
    ask(&mut pace, at(10), &[answer(503, 100)]);
    let learnt = pace.gap();
    pace.allow(Allowance { at_once: 4, gap: ms(0) });
    assert!(learnt > ms(1_000) && pace.gap() == learnt);
}

proptest! {
    #[test]
    fn no_host_sees_more_than_its_allowance(
        at_once in 1_u32..6,
        gap in 0_u64..3_000,
        answers in prop::collection::vec((0_u64..5_000, 0_usize..8, 0_u64..40), 1..200),
    ) {
        let mut pace = Pace::new(Allowance { at_once, gap: ms(gap) });
        let mut now = at(0);
        let mut last_start: Option<DateTime<Utc>> = None;
        // Ends of what is under way.
        let mut under_way: Vec<(DateTime<Utc>, Answer)> = Vec::new();
        for (latency, status, retry_after) in answers {
            let start = loop {
                under_way.sort_by_key(|(end, _)| *end);
                let ready = pace.ready_at(now);
                match (ready, under_way.first().copied()) {
                    (Ready::At(start), Some((end, answer))) if end <= start => {
                        under_way.remove(0);
                        now = now.max(end);
                        pace.ended(now, &answer);
                    }
                    (Ready::At(start), _) => break start,
                    (Ready::WhenOneEnds, Some((end, answer))) => {
                        under_way.remove(0);
                        now = now.max(end);
                        pace.ended(now, &answer);
                    }
                    (Ready::WhenOneEnds, None) => panic!("waits for nothing"),
                }
            };
            prop_assert!(start >= now);
            now = start;
            pace.began(now);
            if let Some(last) = last_start {
                prop_assert!(now - last >= TimeDelta::milliseconds(gap as i64));
            }
            last_start = Some(now);
            let status = [200, 200, 200, 304, 404, 429, 500, 503][status];
            let retry_after = (retry_after > 30).then(|| Duration::from_secs(retry_after));
            let answer = Answer { status: Some(status), latency: ms(latency), retry_after };
            under_way.push((now + ms(latency), answer));
            prop_assert!(under_way.len() <= at_once as usize);
            prop_assert!(pace.gap() >= ms(gap) && pace.gap() <= MAX_GAP);
        }
    }
}
