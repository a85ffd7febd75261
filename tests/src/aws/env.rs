//! The variables by which the AWS SDK in a process under test finds the stand-ins.

use std::collections::BTreeMap;
use std::process::Command;

/// The region of everything in the tests.
pub const REGION: &str = "eu-west-1";
/// The key that SeaweedFS knows; the others ask for none.
pub const ACCESS_KEY: &str = "feedfleettests";
/// Its secret. SeaweedFS checks the signature of every request.
pub const SECRET_KEY: &str = "no-secret-at-all";

/// A service with an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `AWS_ENDPOINT_URL_SQS`.
    Sqs,
    /// `AWS_ENDPOINT_URL_S3`.
    S3,
    /// `AWS_ENDPOINT_URL_AUTO_SCALING`.
    AutoScaling,
    /// `AWS_ENDPOINT_URL_CLOUDWATCH`.
    CloudWatch,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`. Without it a process asks no metadata service.
    Metadata,
}

impl Service {
    fn variable(self) -> &'static str {
        match self {
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::S3 => "AWS_ENDPOINT_URL_S3",
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
            Self::CloudWatch => "AWS_ENDPOINT_URL_CLOUDWATCH",
            Self::Metadata => "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        }
    }
}

/// The environment of a process that must reach stand-ins, and nothing that this machine's own settings name.
#[derive(Debug, Clone)]
pub struct AwsEnv {
    variables: BTreeMap<&'static str, String>,
}

impl Default for AwsEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl AwsEnv {
    /// Region and keys. A service that is not given an endpoint is sent to a port where nobody listens, not to AWS.
    pub fn new() -> Self {
        let variables = [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        Self { variables: variables.map(|(name, value)| (name, value.to_owned())).into() }
    }

    /// Says where a service is, such as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn at(mut self, service: Service, url: impl Into<String>) -> Self {
        if service == Service::Metadata {
            self.variables.remove("AWS_EC2_METADATA_DISABLED");
        }
        self.variables.insert(service.variable(), url.into());
        self
    }

    /// Gives a command these variables, and no others of AWS.
    pub fn set(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables);
    }
}
