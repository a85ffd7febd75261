//! Other people's readers see the same table as ours: the Python package deltalake, DuckDB, Polars and ClickHouse.
//! That they do in a bucket as well is in tests/tests/aws.

mod growing;

use crate::faults::nights;
use feedfleet_catalog::Location;
use feedfleet_tests::aws::AwsEnv;
use feedfleet_tests::{Fleet, Readers};
use growing::{Place, grow_and_read};

/// What each pipe holds is what every reader finds, after each night, upkeep and a vacuum.
#[test]
fn other_readers_see_the_same_rows() {
    let Some(readers) = Readers::installed() else { return };
    let fleet = Fleet::new();
    let place = Place {
        products: fleet.path("var/catalog/products").display().to_string(),
        catalog: Location::Folder(fleet.path("var/catalog")),
        env: AwsEnv::new(),
    };
    grow_and_read(&readers, &fleet, place);
}
