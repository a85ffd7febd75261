//! What the checks work with: a store, and short ways to put and get.

use crate::{Expected, Listed, Objects, PutOutcome, Version};
use bytes::Bytes;
use feedfleet_model::keys::ObjectKey;
use std::sync::Arc;

/// A store under test.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) store: Arc<dyn Objects>,
}

impl Bench {
    pub(super) async fn put(&self, name: &str, text: &str) -> Version {
        let bytes = Bytes::from(text.to_owned());
        self.store.put(&key(name), bytes).await.expect("put")
    }

    /// Whether the object was written, and as which version.
    pub(super) async fn put_if(&self, name: &str, text: &str, expected: Expected) -> PutOutcome {
        let bytes = Bytes::from(text.to_owned());
        self.store.put_if(&key(name), bytes, expected).await.expect("put_if")
    }

    pub(super) async fn get(&self, name: &str) -> Option<Bytes> {
        self.store.get(&key(name)).await.expect("get").map(|object| object.bytes)
    }

    pub(super) async fn version(&self, name: &str) -> Version {
        self.store.get(&key(name)).await.expect("get").expect("it is there").version
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Listed> {
        let after = after.map(key);
        self.store.list(prefix, after.as_ref(), limit).await.expect("list")
    }

    pub(super) async fn names(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<String> {
        let listed = self.list(prefix, after, limit).await;
        listed.into_iter().map(|l| l.key.to_string()).collect()
    }

    /// Does what blocks where it may.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Objects) -> T + Send + 'static,
    ) -> T {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || work(store.as_ref())).await.expect("it did not panic")
    }
}

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).expect("a key")
}

/// Bytes that are no repetition of a part of them, the same each time.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
