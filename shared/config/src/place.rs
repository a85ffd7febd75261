//! Where a part of the fleet's data is kept.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a part of the fleet's data is kept. Prints as the folder's path, or as `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine's.
    Folder(PathBuf),
    /// Everything below a prefix of a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// Without slashes at its ends; empty: the whole bucket.
        prefix: String,
    },
}

impl Place {
    /// The folder; none where it is none.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Place::Folder(folder) => Some(folder),
            Place::S3 { .. } => None,
        }
    }

    /// Whether something of one would be among what is the other's.
    pub(crate) fn overlaps(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Folder(one), Place::Folder(other)) => one == other,
            (
                Place::S3 { bucket, prefix },
                Place::S3 { bucket: other_bucket, prefix: other_prefix },
            ) => {
                let is_within = |inner: &str, outer: &str| {
                    inner.strip_prefix(outer).is_some_and(|rest| {
                        outer.is_empty() || rest.is_empty() || rest.starts_with('/')
                    })
                };
                bucket == other_bucket
                    && (is_within(prefix, other_prefix) || is_within(other_prefix, prefix))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => folder.display().fmt(f),
            Place::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Place::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Place {
        Place::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() }
    }

    #[test]
    fn a_prefix_within_another_overlaps() {
        assert!(s3("b", "fleet").overlaps(&s3("b", "fleet")));
        assert!(s3("b", "fleet/objects").overlaps(&s3("b", "fleet")));
        assert!(s3("b", "").overlaps(&s3("b", "fleet")));
        assert!(!s3("b", "fleet2").overlaps(&s3("b", "fleet")));
        assert!(!s3("b", "fleet").overlaps(&s3("c", "fleet")));
        assert!(!s3("b", "fleet").overlaps(&Place::Folder("fleet".into())));
        assert!(Place::Folder("/a".into()).overlaps(&Place::Folder("/a".into())));
    }

    #[test]
    fn a_place_prints_as_it_is_written() {
        assert_eq!(s3("b", "a/b").to_string(), "s3://b/a/b");
        assert_eq!(s3("b", "").to_string(), "s3://b");
        assert_eq!(Place::Folder("/srv/x".into()).to_string(), "/srv/x");
    }
}
