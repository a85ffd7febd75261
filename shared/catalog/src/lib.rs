//! The catalog: the product table and the `images` table, Delta Lake tables in a folder or in an object store.
//! This crate is the only place that knows Delta.
//!
//! A run's work is a [`diff::Diff`]; it ends in a [`commit::Change`], which [`Table::commit`] publishes whole
//! or not at all, behind a fence that lets a run in once and an older run never.

pub mod amend;
mod checkup;
pub mod commit;
mod committer;
pub mod compact;
mod decode;
pub mod diff;
mod durable;
pub mod encode;
pub mod error;
mod figures;
mod files;
mod history;
pub mod images;
mod index;
mod location;
mod log_files;
mod moved;
mod pause;
pub mod pictures;
pub mod product_links;
pub mod read;
pub mod restore;
pub mod retire;
mod runtime;
pub mod schema;
pub mod snapshot;
mod source_values;
mod stage;
pub mod table;
mod tally;
mod unmentioned;
pub mod vacuum;
pub mod writer;

pub use checkup::{DamagedCheckpoint, DamagedEntry, LogDamage};
pub use commit::{Change, CommitOutcome, Fence, Ground};
pub use error::CatalogError;
pub use figures::{RunCommit, run_figures};
pub use index::{BYTES_PER_ROW, Share};
pub use location::Location;
pub use schema::TableSpec;
pub use snapshot::{DataFile, FileIdentity, Snapshot};
pub use table::Table;

use feedfleet_model::PipeName;

/// The tables below one place. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    location: Location,
    products: Table,
    images: Table,
}

impl Catalog {
    /// The catalog in this folder or object store. Nothing is asked of it, and nothing created before the first
    /// commit. Its methods, and those of its tables, block: call them on threads where that does no harm.
    pub fn open(location: impl Into<Location>) -> Result<Self, CatalogError> {
        let location = location.into();
        let root = table::Root::new(&location)?;
        Ok(Self {
            products: Table::new(&root, TableSpec::products()?)?,
            images: Table::new(&root, TableSpec::images()?)?,
            location,
        })
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// One denormalised row a product.
    pub fn products(&self) -> &Table {
        &self.products
    }

    /// One row a mirrored picture.
    pub fn images(&self) -> &Table {
        &self.images
    }
}

/// The fence of a pipe's own source, or of a supplement: its runs pass in order, each once.
pub fn feed_app_id(pipe: &PipeName) -> String {
    format!("{pipe}/feed")
}

/// The fence of approved removals; its runs are the runs whose removals were held.
pub fn approval_app_id(pipe: &PipeName) -> String {
    format!("{}/approval", pipe.pipe())
}

/// The fence of rollbacks; each is ahead of the run that was the newest of the pipe, and of the supplement by whose
/// run it was named.
pub fn rollback_app_id(pipe: &PipeName) -> String {
    format!("{}/rollback", pipe.pipe())
}
