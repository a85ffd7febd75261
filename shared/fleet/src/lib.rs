//! The fleet's interface: how many workers there are, what a worker's machine says to it, and where figures go.
//!
//! Three traits without any backend. [`Fleet`] is the scheduler's side: it looks at the workers and sets how many
//! there should be. [`Instance`] is the worker's: it keeps its machine while there is work in hand, and hears when
//! the machine has to go. [`Metrics`] takes figures. [`names`] has every name that the templates under `infra/`
//! must know too.

mod error;
mod fleet;
mod instance;
mod metrics;
pub mod names;
mod pacing;

pub use error::FleetError;
pub use fleet::{Fleet, FleetView, Member, MemberState};
pub use instance::{Instance, Notice};
pub use metrics::{Datum, Metrics, Unit};
pub use pacing::{Pacing, SHORT_AFTER};
