//! The words that every part of Feedfleet shares: pipes and runs, jobs and their outcomes, the product
//! row and its columns, run reports. No I/O here.

pub mod clock;
pub mod columns;
pub mod hash;
pub mod ids;
pub mod image;
pub mod image_jobs;
pub mod job;
pub mod keys;
pub mod nights;
pub mod outcome;
pub mod report;
pub mod row;
pub mod supplement;
pub mod text;

pub use clock::{Clock, SystemClock};
pub use columns::{COLUMNS, Column, ColumnId, ColumnType};
pub use ids::{InvalidPipeName, PipeName, RunId, RunKey};
pub use job::{CrawlJob, ImageItem, ImageJob, Job};
pub use nights::{Night, Nights};
pub use outcome::{Outcome, Reason, ReasonClass};
pub use report::RunReport;
pub use row::{Row, ValueRef};
pub use supplement::SupplementState;
