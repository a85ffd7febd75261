//! moto: Auto Scaling with mixed instances, protection and termination; and SQS, as far as it goes.

use super::process::{Process, Start};
use super::program;
use crate::free_port;
use tempfile::TempDir;

/// A running moto server, of this test alone.
pub struct Moto {
    // Gone before the folder that holds its log.
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Moto {
    /// Starts one. None where it is not installed, which was said.
    pub fn start() -> Option<Self> {
        let program = program("moto_server")?;
        Some(Process::start_somewhere("moto_server", || {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let port = free_port();
            let start = Start {
                program: &program,
                args: ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).into(),
                env: Vec::new(),
                folder: folder.path(),
                ready: format!("http://127.0.0.1:{port}/moto-api/"),
            };
            let process = Process::start(&start)?;
            Some(Self { _process: process, port, _folder: folder })
        }))
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
