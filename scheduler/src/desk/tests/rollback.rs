//! A replay and a rollback of the same pipe at one time: one of the two sees the other.

use super::*;
use crate::rollback::{RollbackError, roll_back};
use crate::testing::{World, run};

/// Two nights are in the table, and the third is dead.
async fn world() -> World {
    let world = World::new();
    world.add_rows(1, &["a"]);
    world.add_rows(2, &["b"]);
    world.report(3, RunState::Dead, |_| {}).await;
    world
}

/// What a replay of the dead night would come to, as far as it has looked.
async fn looked(desk: &Desk) -> Mark {
    match desk.prospect(&run(3)).await.unwrap() {
        Prospect::Open { mark } => mark,
        other => panic!("{other:?}"),
    }
}

/// What a rollback took out is not brought back by a replay that had looked for a pause before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_looked_before_the_rollback_has_to_look_again() {
    let world = world().await;
    let desk = Desk::new(&world.deps);
    let seen = looked(&desk).await;
    roll_back(&world.deps, &run(1), &ann()).await.unwrap();
    assert!(!desk.reopen(&run(3), seen).await.unwrap());
    let report = world.deps.reports().load(&run(3)).await.unwrap().unwrap();
    assert_eq!(report.state, RunState::Dead);
    let now = desk.prospect(&run(3)).await.unwrap();
    assert!(matches!(&now, Prospect::Closed(why) if why.contains("is paused")), "{now:?}");
}

/// So it has where the report that would say so was damaged meanwhile: the one in its place does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_looked_before_the_report_was_damaged_has_to_look_again() {
    let world = world().await;
    let desk = Desk::new(&world.deps);
    let seen = looked(&desk).await;
    roll_back(&world.deps, &run(1), &ann()).await.unwrap();
    world.pass(TimeDelta::seconds(1));
    world.deps.objects.put(&keys::report(&run(3)), "{".into()).await.unwrap();
    let report = damaged::load(&world.deps, &run(3)).await.unwrap().unwrap();
    assert_eq!((report.state, report.passed_over), (RunState::Dead, 0));
    assert!(!desk.reopen(&run(3), seen).await.unwrap());
}

/// A run that a replay has reopened must end before its pipe is rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_sees_the_run_that_a_replay_has_reopened() {
    let world = world().await;
    let desk = Desk::new(&world.deps);
    let seen = looked(&desk).await;
    assert!(desk.reopen(&run(3), seen).await.unwrap());
    let refused = roll_back(&world.deps, &run(1), &ann()).await.unwrap_err();
    let is_run_3 = matches!(&refused, RollbackError::Unfinished { run: it, .. } if *it == run(3));
    assert!(is_run_3, "{refused}");
}
