//! Test: no statement that receivers and holders run reads more than it returns, whatever the
//! backlog. A full scan or a sort would show in the query plan.

use rusqlite::Connection;

use super::{look, receive, schema, send, settle};

const HOT: [(&str, &str); 17] = [
    ("send::EARLIER", send::EARLIER),
    ("send::FORGET", send::FORGET),
    ("send::FIND_GROUP", send::FIND_GROUP),
    ("receive::ANYTHING", receive::ANYTHING),
    ("receive::END_LEASES", receive::END_LEASES),
    ("receive::RUNNABLE_GROUPS", receive::RUNNABLE_GROUPS),
    ("receive::FIRST_OF_GROUP", receive::FIRST_OF_GROUP),
    ("receive::LEASE", receive::LEASE),
    ("receive::READ", receive::READ),
    ("settle::HELD", settle::HELD),
    ("settle::DELETE", settle::DELETE),
    ("settle::BURY", settle::BURY),
    ("settle::DROP_EMPTY_GROUP", settle::DROP_EMPTY_GROUP),
    ("settle::REFRESH_GROUP", settle::REFRESH_GROUP),
    ("look::IN_FLIGHT", look::IN_FLIGHT),
    ("look::OLDEST", look::OLDEST),
    ("look::DEAD_LETTERS", look::DEAD_LETTERS),
];

#[test]
fn hot_statements_search_and_never_scan_or_sort() {
    let dir = tempfile::tempdir().expect("tempdir");
    let opened = schema::open(&dir.path().join("queue.db"), "crawl").expect("open");
    for (name, sql) in HOT {
        let plan = plan(&opened.connection, sql);
        for line in &plan {
            let scans = line.starts_with("SCAN") && !line.contains("CONSTANT");
            let sorts = line.contains("TEMP B-TREE");
            assert!(!scans && !sorts, "{name}: {plan:#?}");
        }
    }
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement =
        conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("the statement compiles");
    let mut lines = Vec::new();
    // Parameters stay unbound, which the plan does not mind.
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().expect("explain") {
        lines.push(row.get::<_, String>(3).expect("detail"));
    }
    lines
}
