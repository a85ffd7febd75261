//! Other people's readers of the product table, which scripts/check_readers.py asks for its rows.

use crate::aws::{AwsEnv, python, skipped};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The status of the script when a reader is not installed.
const NOT_AVAILABLE: i32 = 3;
const SCRIPT: &str = "scripts/check_readers.py";

/// The Python environment that scripts/test sets up for them.
pub struct Readers {
    python: OsString,
}

impl Readers {
    /// None where there is no such environment, which is said aloud.
    ///
    /// # Panics
    ///
    /// Where there is none, and `FEEDFLEET_REQUIRE_READERS` is 1.
    pub fn installed() -> Option<Self> {
        let python = python();
        if python.is_none() {
            skipped(SCRIPT, "FEEDFLEET_PYTHON names no interpreter; scripts/test sets one up");
        }
        Some(Self { python: python? })
    }

    /// Has each read a table, a folder or `s3://BUCKET/PREFIX`, and compares what it sees with a file of lines of
    /// JSON, one a row. `limits`: whether they are asked as well for what docs/readers.md says does not work, for
    /// which the table must have dead rows. A reader that is not installed is said aloud.
    ///
    /// # Panics
    ///
    /// When one sees other rows, or none, or is not installed and `FEEDFLEET_REQUIRE_READERS` is 1.
    pub fn check(&self, table: &str, expected: &Path, limits: bool, env: &AwsEnv) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SCRIPT);
        let mut command = Command::new(&self.python);
        command.arg(script);
        if limits {
            command.arg("--limits");
        }
        command.arg(table).arg(expected);
        env.set(&mut command);
        let output = command.output().expect("the interpreter of FEEDFLEET_PYTHON can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        let code = output.status.code();
        if code == Some(NOT_AVAILABLE) {
            skipped(SCRIPT, said.trim());
            return;
        }
        assert_eq!(code, Some(0), "{table}:\n{said}");
        println!("{}", said.trim().replace('\n', ", "));
    }
}
