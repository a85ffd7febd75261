//! ministack: SQS, CloudWatch, CloudFormation and much else, of one process.

use super::process::{Process, Start};
use super::{AwsEnv, Service, program};
use crate::free_port;
use tempfile::TempDir;

/// A running ministack, of this test alone.
pub struct Ministack {
    // Gone before the folder that holds its log.
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Ministack {
    /// Starts one. None where it is not installed, which was said.
    pub fn start() -> Option<Self> {
        let program = program("ministack")?;
        Some(Process::start_somewhere("ministack", || {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let port = free_port();
            let start = Start {
                program: &program,
                args: Vec::new(),
                env: vec![
                    ("BIND_HOST", "127.0.0.1".into()),
                    ("GATEWAY_PORT", port.to_string()),
                    // So that the URLs of its queues lead back to it.
                    ("MINISTACK_HOST", "127.0.0.1".into()),
                    // Each of these would listen on a fixed port of every address.
                    ("IOT_MTLS_ENABLED", "0".into()),
                    ("SFTP_ENABLED", "0".into()),
                ],
                folder: folder.path(),
                ready: format!("http://127.0.0.1:{port}/_ministack/ready"),
            };
            let process = Process::start(&start)?;
            Some(Self { _process: process, port, _folder: folder })
        }))
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds it to an environment, as SQS and CloudWatch.
    pub fn env(&self, env: AwsEnv) -> AwsEnv {
        env.at(Service::Sqs, self.url()).at(Service::CloudWatch, self.url())
    }
}
