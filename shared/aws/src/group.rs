//! The fleet on Auto Scaling: one group, whose desired capacity is what the scheduler asks for.
//!
//! One instance is one worker: the group's overrides have no weights, so that capacity counts instances. Each step
//! is one `DescribeAutoScalingGroups`, and one `SetDesiredCapacity` where the number changes. Neither is tried
//! again within a step: the next one comes in seconds, sees what is, and asks for what is then right.

use crate::client::Aws;
use crate::error::AwsError;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{self, LifecycleState};
use chrono::{DateTime, Utc};
use feedfleet_fleet::names::DRAIN_HOOK;
use feedfleet_fleet::{Fleet, FleetError, FleetView, Member, MemberState, Pacing};
use feedfleet_model::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

impl Aws {
    /// A client of Auto Scaling.
    pub(crate) fn autoscaling(&self) -> Client {
        Client::new(self.config())
    }
}

/// The transition at which [`DRAIN_HOOK`] holds an instance.
const TERMINATING: &str = "autoscaling:EC2_INSTANCE_TERMINATING";

/// An Auto Scaling group of workers.
pub struct AutoScalingGroup {
    client: Client,
    name: String,
    clock: Arc<dyn Clock>,
    pacing: Pacing,
    /// When each instance was seen for the first time: the group does not tell.
    since: BTreeMap<String, DateTime<Utc>>,
    /// The bounds that were last complained about.
    narrow: Option<(u32, u32)>,
}

/// What a group is, for `feedfleet doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// Fewest and most instances.
    pub bounds: (u32, u32),
    /// Instances it is told to have.
    pub desired: u32,
    /// Its instances.
    pub instances: Vec<Member>,
    /// Whether some instance type counts as more than one instance: the scheduler takes each for one.
    pub is_weighted: bool,
}

impl AutoScalingGroup {
    /// The group of this name. Nothing is asked of it yet.
    pub fn new(aws: &Aws, name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: aws.autoscaling(),
            name: name.into(),
            clock,
            pacing: Pacing::new(Instant::now()),
            since: BTreeMap::new(),
            narrow: None,
        }
    }

    /// The group as it is.
    ///
    /// # Errors
    /// When Auto Scaling does not answer, or there is no such group.
    pub async fn facts(&self) -> Result<GroupFacts, FleetError> {
        let action = "describe the Auto Scaling group";
        let request = self.client.describe_auto_scaling_groups();
        let answer = request.auto_scaling_group_names(&self.name).send().await;
        let described = answer.map_err(|e| {
            failure(action, &self.name, AwsError::of("DescribeAutoScalingGroups", &e))
        })?;
        let Some(group) = described.auto_scaling_groups().first() else {
            return Err(FleetError::lasting(action, &self.name, "there is no group of this name"));
        };
        let now = self.clock.now();
        let member = |instance: &types::Instance| {
            let id = instance.instance_id().unwrap_or_default().to_owned();
            let since = self.since.get(&id).copied().unwrap_or(now);
            let busy = instance.protected_from_scale_in().unwrap_or_default();
            Member { id, since, state: state_of(instance.lifecycle_state()), busy }
        };
        let is_weighted = group.instances().iter().any(|i| i.weighted_capacity().is_some());
        Ok(GroupFacts {
            bounds: (count(group.min_size()), count(group.max_size())),
            desired: count(group.desired_capacity()),
            instances: group.instances().iter().map(member).collect(),
            is_weighted,
        })
    }

    /// Seconds that the hook [`DRAIN_HOOK`] gives a worker; none where the group has no such hook for instances that
    /// end.
    ///
    /// # Errors
    /// When Auto Scaling does not answer.
    pub async fn drain_hook(&self) -> Result<Option<u32>, FleetError> {
        let request = self.client.describe_lifecycle_hooks().auto_scaling_group_name(&self.name);
        let answer = request.lifecycle_hook_names(DRAIN_HOOK).send().await;
        let described = answer.map_err(|e| {
            let error = AwsError::of("DescribeLifecycleHooks", &e);
            failure("describe the lifecycle hooks of", &self.name, error)
        })?;
        Ok(drain_secs(described.lifecycle_hooks()))
    }

    async fn set_desired(&self, desired: u32) -> Result<(), FleetError> {
        self.client
            .set_desired_capacity()
            .auto_scaling_group_name(&self.name)
            .desired_capacity(i32::try_from(desired).unwrap_or(i32::MAX))
            // The pace is ours: a cooldown would refuse the second step of a night that is just beginning.
            .honor_cooldown(false)
            .send()
            .await
            .map_err(|e| {
                let error = AwsError::of("SetDesiredCapacity", &e);
                failure("set the desired capacity of", &self.name, error)
            })?;
        Ok(())
    }

    /// `desired` within the group's own bounds; says so once where they are narrower.
    fn within(&mut self, desired: u32, (min, max): (u32, u32)) -> u32 {
        let target = desired.clamp(min.min(max), max);
        if target != desired && self.narrow != Some((min, max)) {
            tracing::warn!(
                group = %self.name, desired, min, max,
                "the group's own bounds are narrower than [workers] in fleet.toml"
            );
            self.narrow = Some((min, max));
        }
        target
    }

    fn note_since(&mut self, instances: &[Member]) {
        self.since = instances.iter().map(|i| (i.id.clone(), i.since)).collect();
    }
}

#[async_trait::async_trait]
impl Fleet for AutoScalingGroup {
    async fn reconcile(&mut self, desired: u32) -> Result<FleetView, FleetError> {
        let facts = self.facts().await?;
        self.note_since(&facts.instances);
        let mut view = FleetView { target: facts.desired, members: facts.instances, short: 0 };
        let wanted = self.within(desired, facts.bounds);
        let now = Instant::now();
        let target = self.pacing.target(now, wanted, facts.desired, view.busy());
        if target != facts.desired {
            match self.set_desired(target).await {
                Ok(()) => {
                    tracing::info!(
                        group = %self.name, from = facts.desired, to = target,
                        "desired capacity set"
                    );
                    view.target = target;
                }
                // What there is is known all the same; a group that goes on refusing cannot grow.
                Err(e) => tracing::warn!(error = %e, "the group stays as it is, will try again"),
            }
        }
        view.short = self.pacing.short(now, target, view.in_service());
        Ok(view)
    }

    /// The instances stay: the next scheduler goes on with them.
    async fn stop(&mut self) {}
}

/// Not every server gives only the hooks that were asked for.
fn drain_secs(hooks: &[types::LifecycleHook]) -> Option<u32> {
    let is_drain = |hook: &&types::LifecycleHook| {
        hook.lifecycle_hook_name() == Some(DRAIN_HOOK)
            && hook.lifecycle_transition() == Some(TERMINATING)
    };
    hooks.iter().find(is_drain).map(|hook| count(hook.heartbeat_timeout()))
}

fn count(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// The states that the documentation names, by what a worker does in them; a state that is new counts as leaving:
/// no work is expected of it. One in `Pending:Wait` may have taken work already, and has yet to show that it can keep
/// running (`infra/instance/boot`): a group whose instances get no further cannot grow.
fn state_of(state: Option<&LifecycleState>) -> MemberState {
    let Some(state) = state else { return MemberState::Starting };
    match state {
        LifecycleState::InService => MemberState::InService,
        LifecycleState::Pending | LifecycleState::PendingWait | LifecycleState::PendingProceed => {
            MemberState::Starting
        }
        state if state.as_str().starts_with("Warmed") => MemberState::Starting,
        _ => MemberState::Leaving,
    }
}

/// What a call could not do, and to what.
pub(crate) fn failure(action: &'static str, subject: &str, error: AwsError) -> FleetError {
    let retryable = error.is_passing();
    FleetError { action, subject: subject.to_owned(), source: Box::new(error), retryable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_by_what_a_worker_does_in_them() {
        for (state, expected) in [
            ("Pending:Wait", MemberState::Starting),
            ("Warmed:Stopped", MemberState::Starting),
            ("InService", MemberState::InService),
            ("Terminating:Wait", MemberState::Leaving),
            ("Standby", MemberState::Leaving),
            ("SomethingNew", MemberState::Leaving),
        ] {
            assert_eq!(state_of(Some(&LifecycleState::from(state))), expected, "{state}");
        }
        assert_eq!(state_of(None), MemberState::Starting);
    }

    #[test]
    fn the_drain_hook_is_told_by_its_name_and_transition() {
        let hook = |name: &str, transition: &str, secs| {
            let hook = types::LifecycleHook::builder().lifecycle_hook_name(name);
            hook.lifecycle_transition(transition).heartbeat_timeout(secs).build()
        };
        let launching = "autoscaling:EC2_INSTANCE_LAUNCHING";
        let boot = hook("feedfleet-boot", launching, 600);
        let other = hook("another", TERMINATING, 700);
        let drain = hook(DRAIN_HOOK, TERMINATING, 150);
        assert_eq!(drain_secs(&[boot.clone(), other.clone(), drain]), Some(150));
        assert_eq!(drain_secs(&[boot, other]), None);
        assert_eq!(drain_secs(&[hook(DRAIN_HOOK, launching, 150)]), None, "it drains nobody");
    }
}
