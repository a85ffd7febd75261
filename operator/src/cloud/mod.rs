//! AWS, as the commands need it. A build without the feature `aws` has none in it, and says so where a
//! configuration names it; so the first build of a fleet on one machine stays short.

#[cfg(feature = "aws")]
mod buckets;
#[cfg(feature = "aws")]
mod present;
#[cfg(feature = "aws")]
pub use present::Cloud;

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(not(feature = "aws"))]
pub use absent::Cloud;
