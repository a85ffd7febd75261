//! Who the fleet is to AWS.

use crate::error::chain;
use crate::{Aws, AwsError};
use aws_credential_types::provider::ProvideCredentials;
use std::time::{Duration, SystemTime};

const CALL: &str = "credentials";
/// Finding credentials may ask the machine for its role.
const FIND: Duration = Duration::from_secs(8);

/// Credentials that were found, without what makes them secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The end of the access key's id, enough to tell it from others.
    pub key_ends: String,
    /// The account, where the source of the credentials tells.
    pub account: Option<String>,
    /// When they run out; none where they do not.
    pub expires: Option<SystemTime>,
}

impl Aws {
    /// Finds credentials as the first call would. Asks AWS nothing: whether they are good, calls tell.
    ///
    /// # Errors
    /// None were found.
    pub async fn identity(&self) -> Result<Identity, AwsError> {
        let none = || AwsError::never_sent(CALL, "there is no place to look for them");
        let provider = self.config().credentials_provider().ok_or_else(none)?;
        let found = match tokio::time::timeout(FIND, provider.provide_credentials()).await {
            Ok(Ok(found)) => found,
            Ok(Err(e)) => {
                // Its own words say that they are not loaded; the reason is behind them.
                return Err(AwsError::never_sent(CALL, chain(&e)));
            }
            Err(_) => return Err(AwsError::never_sent(CALL, format!("not found within {FIND:?}"))),
        };
        let id = found.access_key_id();
        let start = id.len().saturating_sub(4);
        Ok(Identity {
            key_ends: id.get(start..).unwrap_or_default().to_owned(),
            account: found.account_id().map(|account| account.as_str().to_owned()),
            expires: found.expiry(),
        })
    }
}
