//! Which pages the products of a pipe are on: the links of its live rows.

use crate::error::CatalogError;
use crate::read::for_each_batch;
use crate::snapshot::Snapshot;
use arrow::array::{Array, AsArray};
use feedfleet_model::PipeName;

/// Calls `visit` with the id of every live row of the pipe, and with its link where it has one.
///
/// # Errors
///
/// A file of the snapshot cannot be read.
pub fn for_each_product_link(
    snapshot: &Snapshot,
    pipe: &PipeName,
    mut visit: impl FnMut(&str, Option<&str>),
) -> Result<(), CatalogError> {
    for file in &snapshot.files(Some(pipe))? {
        for_each_batch(snapshot, file, Some(&["id", "link"]), |rows| {
            let column = |name| rows.batch.column_by_name(name);
            let ids = column("id").and_then(|c| c.as_string_opt::<i32>());
            let links = column("link").and_then(|c| c.as_string_opt::<i32>());
            let Some(ids) = ids else { return Ok(()) };
            for row in rows.live().filter(|&row| ids.is_valid(row)) {
                let link = links.filter(|links| links.is_valid(row)).map(|links| links.value(row));
                visit(ids.value(row), link);
            }
            Ok(())
        })?;
    }
    Ok(())
}
