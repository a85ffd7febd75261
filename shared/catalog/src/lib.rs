//! The catalog: the product table and the `images` table, Delta Lake tables in a folder. This crate is the
//! only place that knows Delta.
//!
//! A run's work is a [`diff::Diff`]; it ends in a [`commit::Change`], which [`Table::commit`] publishes whole
//! or not at all, behind a fence that lets a run in once and an older run never.

mod checkup;
pub mod commit;
pub mod compact;
pub mod diff;
mod durable;
pub mod encode;
pub mod error;
mod figures;
mod history;
pub mod images;
mod index;
mod log_files;
mod moved;
pub mod pictures;
pub mod read;
pub mod restore;
pub mod retire;
pub mod schema;
mod stage;
pub mod table;
mod tally;
mod unmentioned;
pub mod vacuum;
pub mod writer;

pub use commit::{Change, CommitOutcome, Fence};
pub use error::CatalogError;
pub use figures::{RunCommit, run_figures};
pub use index::{BYTES_PER_ROW, Share};
pub use schema::TableSpec;
pub use table::{DataFile, Snapshot, Table};

use feedfleet_model::PipeName;
use std::path::{Path, PathBuf};

/// The tables below one folder. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    folder: PathBuf,
    products: Table,
    images: Table,
}

impl Catalog {
    /// The catalog in this folder. Nothing is created before the first commit.
    pub fn open(folder: &Path) -> Result<Self, CatalogError> {
        let engine = table::LogEngine::new()?;
        Ok(Self {
            folder: folder.to_owned(),
            products: Table::new(folder, TableSpec::products()?, &engine)?,
            images: Table::new(folder, TableSpec::images()?, &engine)?,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
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

/// The fence of a pipe's feed: its runs pass in order, each once.
pub fn feed_app_id(pipe: &PipeName) -> String {
    format!("{pipe}/feed")
}

/// The fence of approved removals; its runs are the runs whose removals were held.
pub fn approval_app_id(pipe: &PipeName) -> String {
    format!("{pipe}/approval")
}

/// The fence of rollbacks; each is ahead of the run that was the pipe's newest.
pub fn rollback_app_id(pipe: &PipeName) -> String {
    format!("{pipe}/rollback")
}
