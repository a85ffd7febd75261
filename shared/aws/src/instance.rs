//! A worker's EC2 instance: what its metadata service says about its future, its protection from scale-in, and the
//! hook that holds it until the worker has handed its work back.
//!
//! IMDSv2 alone is spoken: a session token first, which does not travel further than one hop. The endpoint is the
//! link-local address, or `AWS_EC2_METADATA_SERVICE_ENDPOINT`.

use crate::client::Aws;
use crate::error::{AwsError, chain};
use crate::group::failure;
use crate::retry::Retries;
use aws_config::BehaviorVersion;
use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_autoscaling::Client;
use feedfleet_fleet::names::DRAIN_HOOK;
use feedfleet_fleet::{FleetError, Instance, Notice};
use std::time::Duration;

const INSTANCE_ID: &str = "/latest/meta-data/instance-id";
/// `{"action": "terminate", "time": "2026-09-18T08:22:00Z"}`, two minutes before; nothing until then.
const SPOT_ACTION: &str = "/latest/meta-data/spot/instance-action";
/// `{"noticeTime": "2026-09-18T08:22:00Z"}`; nothing where there is no recommendation.
const REBALANCE: &str = "/latest/meta-data/events/recommendations/rebalance";
/// Where the group is taking the instance: `InService`, `Terminated`, …
const TARGET_STATE: &str = "/latest/meta-data/autoscaling/target-lifecycle-state";

/// The service is on the machine itself and answers in a millisecond, or something is wrong with it.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A token that the service has forgotten is replaced within minutes; the client renews it two minutes early.
const TOKEN_TTL: Duration = Duration::from_secs(300);
/// An instance that has just started may ask before its metadata are there.
const FIRST_LOOK: Retries = Retries::new(4, Duration::from_millis(200), Duration::from_secs(1));
/// Until the hook is completed, an instance that does nothing any more is paid for. Repeating it does no harm: the
/// second time nothing waits.
const COMPLETION: Retries = Retries::new(3, Duration::from_millis(300), Duration::from_secs(2));

/// The instance that this process runs on, in an Auto Scaling group.
pub struct Ec2Instance {
    metadata: imds::Client,
    autoscaling: Client,
    group: String,
    id: String,
}

impl Ec2Instance {
    /// Asks the instance who it is.
    ///
    /// # Errors
    /// When there is no metadata service: the process does not run on EC2, or a container's extra hop keeps it away.
    pub async fn open(aws: &Aws, group: impl Into<String>) -> Result<Self, FleetError> {
        let mut provider =
            ProviderConfig::without_region().with_behavior_version(Some(BehaviorVersion::latest()));
        if let Some(http) = aws.config().http_client() {
            provider = provider.with_http_client(http);
        }
        let metadata = imds::Client::builder()
            .configure(&provider)
            .max_attempts(1)
            .token_ttl(TOKEN_TTL)
            .connect_timeout(ANSWER_WITHIN)
            .read_timeout(ANSWER_WITHIN)
            .operation_attempt_timeout(ANSWER_WITHIN)
            .operation_timeout(ANSWER_WITHIN)
            .build();
        let who = FIRST_LOOK.run(|| read(&metadata, INSTANCE_ID)).await;
        let missing = || AwsError::never_sent(INSTANCE_ID, "the metadata service has none");
        let id = who.and_then(|id| id.ok_or_else(missing));
        let id = id.map_err(|e| failure("read the metadata of", "this instance", e))?;
        Ok(Self { metadata, autoscaling: aws.autoscaling(), group: group.into(), id })
    }
}

#[async_trait::async_trait]
impl Instance for Ec2Instance {
    fn id(&self) -> &str {
        &self.id
    }

    /// Tried once: the worker asks again while it is busy, and an instance that is let go before that hands its
    /// work back all the same.
    async fn protect(&self, on: bool) -> Result<(), FleetError> {
        let request = self.autoscaling.set_instance_protection();
        let request = request.auto_scaling_group_name(&self.group).instance_ids(&self.id);
        let answer = request.protected_from_scale_in(on).send().await;
        answer.map_err(|e| {
            let error = AwsError::of("SetInstanceProtection", &e);
            failure("set the protection from scale-in of", &self.id, error)
        })?;
        Ok(())
    }

    /// Tried once: the next look comes in two seconds. What one question answers counts, even if another fails.
    async fn notice(&self) -> Result<Notice, FleetError> {
        let (action, target, rebalance) = tokio::join!(
            read(&self.metadata, SPOT_ACTION),
            read(&self.metadata, TARGET_STATE),
            read(&self.metadata, REBALANCE),
        );
        if let Ok(Some(action)) = &action {
            return Ok(Notice::Leave(format!("spot interruption: {action}")));
        }
        if let Ok(Some(target)) = &target
            && is_end(target)
        {
            return Ok(Notice::Leave(format!("the group takes the instance to {target}")));
        }
        let quiet = action.and(target).and(rebalance);
        let quiet = quiet.map_err(|e| failure("read the metadata of", &self.id, e))?;
        Ok(quiet.map_or(Notice::None, Notice::AtRisk))
    }

    async fn gone(&self) -> Result<(), FleetError> {
        let complete = || async {
            let request = self.autoscaling.complete_lifecycle_action();
            let answer = request
                .auto_scaling_group_name(&self.group)
                .lifecycle_hook_name(DRAIN_HOOK)
                .instance_id(&self.id)
                .lifecycle_action_result("CONTINUE")
                .send()
                .await;
            match answer.map_err(|e| AwsError::of("CompleteLifecycleAction", &e)) {
                Err(e) if !is_nothing_waiting(&e) => Err(e),
                _ => Ok(()),
            }
        };
        let completed = COMPLETION.run(complete).await;
        completed.map_err(|e| failure("complete the lifecycle action of", &self.id, e))
    }
}

/// One item of the metadata; none where there is no such item now.
async fn read(metadata: &imds::Client, path: &'static str) -> Result<Option<String>, AwsError> {
    match metadata.get(path).await {
        Ok(text) => Ok(Some(String::from(text).trim().to_owned())),
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => {
            Ok(None)
        }
        Err(e) => Err(AwsError::strange_answer(path, chain(&e))),
    }
}

/// Whether an instance that the group takes to this state ends: `Terminated`, `Warmed:Terminated`. From `Detached`
/// and `Standby` it may come back, and works on meanwhile.
fn is_end(target: &str) -> bool {
    target.rsplit(':').next() == Some("Terminated")
}

/// A spot interruption may come without a hook, and the group's patience may be at its end: then nothing waits for
/// the worker's word, and the documentation's answer is a validation error.
fn is_nothing_waiting(error: &AwsError) -> bool {
    error.has_code("ValidationError")
        && error.message().is_some_and(|text| text.contains("No active Lifecycle Action found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_termination_is_an_end() {
        for target in ["Terminated", "Warmed:Terminated"] {
            assert!(is_end(target), "{target}");
        }
        for target in ["InService", "Standby", "Detached", "Warmed:Stopped", ""] {
            assert!(!is_end(target), "{target}");
        }
    }

    #[test]
    fn nothing_waiting_is_told_from_a_wrong_request() {
        let error = |code, text| AwsError::of_entry("CompleteLifecycleAction", code, text, true);
        let nothing = Some("No active Lifecycle Action found with instance ID i-1");
        assert!(is_nothing_waiting(&error("ValidationError", nothing)));
        assert!(!is_nothing_waiting(&error("ValidationError", Some("no such group"))));
        assert!(!is_nothing_waiting(&error("ValidationError", None)));
        assert!(!is_nothing_waiting(&error("AccessDenied", nothing)));
    }
}
