//! Reading other TOML files as the configuration's own are read: all mistakes at once, each with its file, its line and
//! what was expected; and the parts of `fleet.toml` that such files may repeat.

pub use crate::document::{Document, Span};
pub use crate::read::{hosts, leases, scheduler, workers};
pub use crate::table::Table;
pub use crate::value::{Text, Value};
