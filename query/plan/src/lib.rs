//! Planning SQL, apart from all else. DataFusion's planner is generic and asynchronous: whatever first waits for it
//! compiles all of it, for minutes. Here that is done once, for the program and for its tests.

use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext};
use futures::future::BoxFuture;

/// The plan of a query, which may do no more than `options` allow.
pub fn plan<'a>(
    context: &'a SessionContext,
    sql: &'a str,
    options: SQLOptions,
) -> BoxFuture<'a, Result<DataFrame>> {
    Box::pin(context.sql_with_options(sql, options))
}

/// Starts a plan; the rows that come of it.
pub fn start<'a>(plan: DataFrame) -> BoxFuture<'a, Result<SendableRecordBatchStream>> {
    Box::pin(plan.execute_stream())
}
