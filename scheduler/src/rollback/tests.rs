//! A rollback on a real table, objects and queue, and what goes wrong in it.

use super::*;
use crate::pause::paused;
use crate::testing::{World, acme, run};
use feedfleet_catalog::{Change, CommitOutcome, Fence};
use feedfleet_model::RunReport;
use feedfleet_model::report::Trigger;
use feedfleet_objects::reports::to_json;
use std::collections::BTreeSet;

/// Two nights are in the table: the first has one product, the second one more.
fn two_nights() -> World {
    let world = World::new();
    world.add_rows(1, &["a"]);
    world.add_rows(2, &["b"]);
    world
}

fn by(name: &str, note: &str) -> Decider {
    Decider { by: name.to_owned(), note: Some(note.to_owned()), dry_run: false }
}

async fn pause_of(world: &World) -> Option<Pause> {
    paused(world.deps.objects.as_ref(), &acme()).await.unwrap()
}

fn says(why: &RollbackError, parts: &[&str]) {
    let text = why.to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_pause_stays_on_record() {
    let world = two_nights();
    let earlier = Pause {
        at: world.now(),
        by: "bob".to_owned(),
        note: Some("new feed on Monday".to_owned()),
        rolled_back: None,
    };
    assert!(pause(world.deps.objects.as_ref(), &acme(), &earlier).await.unwrap());
    let done = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    assert_eq!((done.plan.taken_out, done.plan.stays), (1, 1));
    let said = pause_of(&world).await.unwrap();
    let did = said.rolled_back.clone().unwrap();
    assert_eq!((did.by.as_str(), did.to, did.version), ("ada", RunId(1), done.version));
    assert_eq!(Pause { rolled_back: None, ..said.clone() }, earlier);

    // Asked for twice, it was done once.
    let again = roll_back(&world.deps, &run(1), &by("cid", "sure?")).await.unwrap();
    assert!(again.plan.is_empty() && again.version > done.version, "{again:?}");
    assert_eq!(pause_of(&world).await, Some(said));
}

/// The pause goes when somebody lets the pipe run again; the table's history stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_the_table_says_who_asked_and_why() {
    let world = two_nights();
    let done = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    let entry = world.table_path(&format!("_delta_log/{:020}.json", done.version.unwrap()));
    let entry = std::fs::read_to_string(entry).unwrap();
    for said in [r#""rollbackTo":"acme/1""#, r#""by":"ada""#, r#""note":"all cost 1""#] {
        assert!(entry.contains(said), "{said} is not in: {entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_gone_back_to_pauses_nothing() {
    let world = two_nights();
    let why = roll_back(&world.deps, &run(17), &by("ada", "a typo")).await.unwrap_err();
    let told = ["nothing was changed", "run 17", "not in the table", "feedfleet runs list acme"];
    says(&why, &told);
    assert_eq!(pause_of(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_live_file_leads_to_an_earlier_run() {
    let world = World::new();
    world.add_rows(1, &["a"]);
    let lost = world.add_rows(2, &["b"]);
    world.add_rows(3, &["c"]);
    std::fs::remove_file(world.table_path(&lost)).unwrap();
    for number in [2, 3] {
        let why = roll_back(&world.deps, &run(number), &by("ada", "lost")).await.unwrap_err();
        let (list, doctor) =
            ("an earlier run may be whole: feedfleet runs list acme", "feedfleet doctor");
        says(&why, &["nothing was changed", "1 of its files, with 1 rows", list, doctor]);
        assert_eq!(pause_of(&world).await, None);
    }
    let done = roll_back(&world.deps, &run(1), &by("ada", "lost")).await.unwrap();
    assert_eq!((done.plan.taken_out, done.plan.stays), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_the_pause_says_how_to_let_the_pipe_run() {
    let world = two_nights();
    // An object that cannot be deleted.
    let stuck = world.object_path(&keys::validators(&acme()));
    std::fs::create_dir_all(&stuck).unwrap();
    let why = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap_err();
    says(&why, &["stays paused", "validators/acme.json", "feedfleet pipes resume acme"]);
    assert!(pause_of(&world).await.is_some());

    std::fs::remove_dir(&stuck).unwrap();
    let done = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    assert_eq!(done.plan.taken_out, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_run_leaves_the_pipe_paused_and_says_so() {
    let world = two_nights();
    world.report(3, RunState::Running, |_| {}).await;
    let looks = Decider { dry_run: true, ..by("ada", "all cost 1") };
    let why = roll_back(&world.deps, &run(1), &looks).await.unwrap_err();
    says(&why, &["nothing was changed: run acme/3 is running and must end first"]);
    assert_eq!(pause_of(&world).await, None);
    let why = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap_err();
    let told = "run acme/3 is running and must end first";
    says(&why, &["is paused", "no row was changed", told, "feedfleet pipes resume acme"]);
    assert!(!why.to_string().contains("nothing was changed"), "{why}");
    assert!(pause_of(&world).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_back_are_told_where_that_cannot_be_noted() {
    let world = two_nights();
    // A pause that can neither be read nor written.
    let stuck = world.object_path(&keys::paused(&acme()));
    std::fs::create_dir_all(&stuck).unwrap();
    let why = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap_err();
    let again = "feedfleet runs rollback acme 1";
    says(&why, &["as it was after run 1", "stays paused", again, "feedfleet pipes resume acme"]);

    std::fs::remove_dir(&stuck).unwrap();
    let done = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    assert!(done.plan.is_empty(), "the rows were back");
    let said = pause_of(&world).await.unwrap();
    assert_eq!(said.rolled_back.map(|back| (back.to, back.live)), Some((RunId(1), 1)));
}

/// However far back it lies, a report that is damaged is set aside, and stops nothing.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_reports_do_not_stop_a_rollback() {
    let world = two_nights();
    for number in 3..=7 {
        world.report(number, RunState::Dead, |_| {}).await;
    }
    world.deps.objects.put(&keys::report(&run(3)), "{".into()).await.unwrap();
    let done = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    assert_eq!((done.plan.taken_out, done.plan.stays), (1, 1));
    let report = world.deps.reports().load(&run(3)).await.unwrap().unwrap();
    assert_eq!(report.state, RunState::Dead);
}

/// Nobody is told of a run that was created behind the pause, for it ends there; of one that was sent, somebody is.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_issued_meanwhile_is_told_if_it_was_sent() {
    let world = two_nights();
    let did = RolledBack {
        at: world.now(),
        by: "ada".to_owned(),
        note: None,
        to: RunId(1),
        version: Some(3),
        put_back: 0,
        taken_out: 1,
        live: 1,
    };
    world.report(3, RunState::Queued, |_| {}).await;
    assert_eq!(conclude(&world.deps, &acme(), &did, &[]).await.unwrap(), None);
    let report = world.deps.reports().load(&run(3)).await.unwrap().unwrap();
    assert_eq!(report.state, RunState::Superseded);
    world.report(4, RunState::Queued, |report| report.sendings = 1).await;
    let told = conclude(&world.deps, &acme(), &did, &[run(3)]).await.unwrap();
    assert_eq!(told, Some(run(4)));
}

/// What a supplement is about to commit would be in the rows that are put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_supplement_must_end_first() {
    let world = two_nights();
    let stock = RunKey { pipe: acme().with_supplement("stock").unwrap(), run: RunId(9) };
    let report = RunReport::new(stock.clone(), Trigger::Schedule, world.now());
    assert!(world.deps.reports().create(&report).await.unwrap());
    let why = roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap_err();
    says(&why, &["run acme.stock/9 is queued", "must end first", "pipes resume acme"]);
    let end = |report: &mut RunReport| report.state = RunState::Done;
    world.deps.reports().update(&stock, end).await.unwrap();
    let validators = [keys::validators(&acme()), keys::validators(&stock.pipe)];
    world.put(&validators).await;
    roll_back(&world.deps, &run(1), &by("ada", "all cost 1")).await.unwrap();
    for key in &validators {
        assert!(!world.is_there(key).await, "{key} says that nothing has changed");
    }
}

/// Commits a run of a supplement that changes no row.
fn commit_unchanged(world: &World, run: &RunKey) {
    let table = world.deps.catalog.products();
    let snapshot = table.ensure().unwrap();
    let change = Change {
        pipe: acme(),
        base: snapshot.files(Some(&acme())).unwrap(),
        adds: Vec::new(),
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: feed_app_id(&run.pipe), run: run.run.0 },
        metrics: Vec::new(),
        data_change: true,
    };
    let outcome = table.commit(&change).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

/// Runs that find the source as it was go on with the values of an earlier one, which was not wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_supplement_had_said_by_then_counts_still() {
    let world = two_nights();
    let pipe = acme().with_supplement("stock").unwrap();
    let stock = |number| RunKey { pipe: pipe.clone(), run: RunId(number) };
    for number in [3, 5, 7] {
        commit_unchanged(&world, &stock(number));
    }
    let state = keys::supplement_state(&stock(7));
    let values = keys::supplement_values(&stock(5), 1).to_string();
    let said = SupplementState { values: Some(values), products: 1 };
    world.deps.objects.put(&state, to_json(&said)).await.unwrap();

    for (back_to, expected) in
        [(stock(7), false), (stock(5), false), (stock(3), true), (run(1), false)]
    {
        assert_eq!(forgets(&world.deps, &back_to).await.unwrap(), expected, "{back_to}");
    }
    roll_back(&world.deps, &stock(5), &by("ada", "a bad night")).await.unwrap();
    assert!(world.is_there(&state).await);
    roll_back(&world.deps, &stock(3), &by("ada", "bad stock, too")).await.unwrap();
    assert!(!world.is_there(&state).await);
    assert!(!forgets(&world.deps, &stock(3)).await.unwrap());
}
