//! Other people's readers see the same table in a bucket as ours: each by the S3 client that it brings.

#[path = "../e2e/readers/growing.rs"]
mod growing;

use crate::night::nights;
use feedfleet_aws::table_store;
use feedfleet_catalog::Location;
use feedfleet_tests::aws::{AwsEnv, Weed, aws_at};
use feedfleet_tests::{Fleet, Readers};
use growing::{Place, grow_and_read};
use tokio::runtime::Runtime;

const BUCKET: &str = "readers";
const PREFIX: &str = "shop/catalog";

/// What each pipe holds is what every reader finds, after each night, upkeep and a vacuum.
#[test]
fn other_readers_see_the_same_rows_in_a_bucket() {
    let (Some(readers), Some(weed)) = (Readers::installed(), Weed::start()) else { return };
    let runtime = Runtime::new().expect("a runtime can be made");
    let aws = runtime.block_on(async {
        weed.bucket(BUCKET).await;
        aws_at(&weed.url()).await
    });
    let store = table_store(&aws, BUCKET).expect("a store needs no answer to be opened");
    let fleet = Fleet::with_fleet_toml(&format!(
        "[catalog]\nurl = \"s3://{BUCKET}/{PREFIX}\"\n\
         [leases]\nvisibility = \"60s\"\n\
         [workers]\nmax = 2\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n\
         [scheduler]\ntick = \"1s\"\n"
    ));
    let place = Place {
        products: format!("s3://{BUCKET}/{PREFIX}/products"),
        catalog: Location::s3(BUCKET, PREFIX, store).expect("the prefix is sound"),
        env: weed.env(AwsEnv::new()),
    };
    grow_and_read(&readers, &fleet, place);
}
