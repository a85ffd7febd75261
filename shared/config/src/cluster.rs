//! The settings of a fleet on more than one machine: `[fleet]`, `[metrics]` and `[aws]`.

/// `[fleet]`: what the workers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetBackend {
    /// `"processes"`, the default: processes of this machine, started by `feedfleet up`.
    Processes,
    /// `"autoscaling"`: instances of EC2, each with one worker.
    AutoScaling {
        /// `group`: the name of the Auto Scaling group. Required.
        group: String,
    },
}

/// `[metrics]`: where figures are published.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// `cloudwatch`: a namespace of CloudWatch; default none, and then nothing is published.
    pub cloudwatch: Option<String>,
    /// `worker_hour`: US dollars that an hour of one worker costs, for the figure of costs; default 0.
    pub worker_hour: f64,
}

/// `[aws]`: how AWS is reached. Credentials come from where every tool of AWS looks for them, never from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// `region`; default the environment's, or the machine's own.
    pub region: Option<String>,
}
