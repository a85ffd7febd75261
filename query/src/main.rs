//! `feedfleet-query`: SQL over the catalog. `feedfleet sql` hands over to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    feedfleet_query::cli::main()
}
