//! Where `${NAME}` comes from. Only [`ProcessEnvironment`] reads the process's environment.

use std::collections::BTreeMap;

/// Variables by name.
pub trait Environment {
    /// The variable's value; none when it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment this process was started with. A value that is not UTF-8 counts as not set.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}
