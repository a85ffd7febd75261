//! What runs of supplements leave of themselves.

use crate::keys::ObjectKey;
use serde::{Deserialize, Serialize};

/// Which values a supplement's run read: the content of the object at [`crate::keys::supplement_state`], as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplementState {
    /// Their key, which may name an earlier run that read the same; none: there are none.
    pub values: Option<String>,
    /// Products of which something is said.
    pub products: u64,
}

impl SupplementState {
    /// The key of the values.
    pub fn key(&self) -> Option<ObjectKey> {
        ObjectKey::parse(self.values.as_deref()?)
    }
}
