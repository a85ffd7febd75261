//! Access to a stand-in from the test's own process. Its environment is shared by all tests and stays as it is.

use super::{ACCESS_KEY, REGION, SECRET_KEY};
use aws_config::Region;
use aws_credential_types::Credentials;
use feedfleet_aws::Aws;

/// Every service at one endpoint, with the keys of the stand-ins.
pub async fn aws_at(endpoint: &str) -> Aws {
    Aws::load_with(|loader| {
        loader
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests"))
            .endpoint_url(endpoint)
    })
    .await
}
