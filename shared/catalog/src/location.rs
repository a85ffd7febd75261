//! Where a catalog lies.

use crate::error::{CatalogError, Cause};
use object_store::ObjectStore;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// Where a catalog lies.
#[derive(Debug, Clone)]
pub enum Location {
    /// In a folder of this machine, which need not exist yet.
    Folder(PathBuf),
    /// In an object store that keeps conditional puts, such as S3.
    Store {
        /// The catalog's address in it, such as `s3://bucket/prefix`.
        url: Url,
        /// The store; the path of an address below `url` is a key in it.
        store: Arc<dyn ObjectStore>,
    },
}

impl Location {
    /// In a bucket of S3, below this prefix; empty: directly in the bucket. `store` is the bucket's.
    pub fn s3(
        bucket: &str,
        prefix: &str,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Self, CatalogError> {
        let unusable = |why: &str| CatalogError {
            action: "name the catalog",
            subject: format!("s3://{bucket}/{prefix}"),
            source: Cause::Unusable(why.to_owned()),
        };
        let mut url = Url::parse("s3://bucket").map_err(|e| unusable(&e.to_string()))?;
        url.set_host(Some(bucket)).map_err(|e| unusable(&e.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            // Written so that no character of the prefix has another meaning.
            segments.extend(prefix.split('/').filter(|part| !part.is_empty()));
        }
        Ok(Self::Store { url, store })
    }

    /// The address below which the tables are; it ends with a slash.
    pub(crate) fn address(&self) -> Result<Url, CatalogError> {
        let unusable = |why: String| CatalogError {
            action: "name the catalog",
            subject: self.to_string(),
            source: Cause::Unusable(why),
        };
        match self {
            Self::Folder(folder) => {
                let absolute = std::path::absolute(folder).map_err(|e| unusable(e.to_string()))?;
                Url::from_directory_path(&absolute)
                    .map_err(|()| unusable("its folder cannot be written as a URL".to_owned()))
            }
            Self::Store { url, .. } if url.cannot_be_a_base() => {
                Err(unusable("an address such as s3://bucket/prefix was expected".to_owned()))
            }
            Self::Store { url, .. } => {
                let mut url = url.clone();
                let path = format!("{}/", url.path().trim_end_matches('/'));
                url.set_path(&path);
                Ok(url)
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Store { url, .. } => write!(f, "{url}"),
        }
    }
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl From<PathBuf> for Location {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[test]
    fn a_prefix_is_taken_literally() {
        let address = |prefix: &str| {
            let location = Location::s3("bucket", prefix, Arc::new(InMemory::new())).unwrap();
            location.address().unwrap().to_string()
        };
        assert_eq!(address(""), "s3://bucket/");
        assert_eq!(address("/a//b/"), "s3://bucket/a/b/");
        assert_eq!(address("a b/50%/c?d#e"), "s3://bucket/a%20b/50%25/c%3Fd%23e/");
        assert!(Location::s3("no bucket", "", Arc::new(InMemory::new())).is_err());
    }

    #[test]
    fn an_address_ends_with_a_slash_and_keeps_its_prefix() {
        let address = |url: &str| {
            let store = Arc::new(InMemory::new());
            let location = Location::Store { url: Url::parse(url).unwrap(), store };
            location.address().map(|url| url.to_string())
        };
        for (given, expected) in [
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/", "s3://bucket/"),
            ("s3://bucket/a/b", "s3://bucket/a/b/"),
            ("s3://bucket/a/b//", "s3://bucket/a/b/"),
            ("memory:///a", "memory:///a/"),
        ] {
            assert_eq!(address(given).unwrap(), expected);
        }
        assert!(address("mailto:a@b.example").is_err());
        let folder = Location::from(Path::new("/var/a b"));
        assert_eq!(folder.address().unwrap().as_str(), "file:///var/a%20b/");
    }
}
