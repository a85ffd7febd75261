//! The scheduler's side: the workers there are, and how many there should be.

use crate::error::FleetError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Workers that come and go as the scheduler says.
///
/// How many there should be is not decided here: one pure function does that for every backend
/// (`feedfleet_scheduler::scaling`). A backend decides how gently it gets there: more workers come at once, and
/// fewer only when the ones too many have been idle for a while. It never takes a worker that is busy.
#[async_trait::async_trait]
pub trait Fleet: Send {
    /// Brings the fleet closer to `desired` workers, and says how it is then. Called again and again, every few
    /// seconds; each call is one step, and repeating it does no harm.
    ///
    /// # Errors
    /// When the backend does not answer. The fleet stays as it is, and the next call begins anew.
    async fn reconcile(&mut self, desired: u32) -> Result<FleetView, FleetError>;

    /// The scheduler ends. Workers that are its own processes are stopped in good order; workers on machines of
    /// their own go on, for the next scheduler.
    async fn stop(&mut self);
}

/// The fleet, as one step left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetView {
    /// Workers that the backend is told to have now. More than was asked for while it waits before it takes
    /// workers away; others than were asked for where its own bounds are narrower.
    pub target: u32,
    /// The workers, those that start or leave included.
    pub members: Vec<Member>,
    /// Workers that are missing and that the backend has failed to provide for minutes.
    pub short: u32,
}

impl FleetView {
    /// Workers that can take work.
    pub fn in_service(&self) -> u32 {
        self.count(|member| member.state == MemberState::InService)
    }

    /// Workers that have work in hand.
    pub fn busy(&self) -> u32 {
        self.count(|member| member.busy && member.state != MemberState::Leaving)
    }

    fn count(&self, counts: impl Fn(&Member) -> bool) -> u32 {
        u32::try_from(self.members.iter().filter(|member| counts(member)).count())
            .unwrap_or(u32::MAX)
    }
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its process or its instance.
    pub id: String,
    /// Since when it is there, as far as this scheduler knows.
    pub since: DateTime<Utc>,
    /// Where it stands.
    pub state: MemberState,
    /// Whether it has work in hand; a worker that does not tell counts as busy.
    pub busy: bool,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// On its way.
    Starting,
    /// Takes work.
    InService,
    /// Told to go.
    Leaving,
}

impl MemberState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            MemberState::Starting => "starting",
            MemberState::InService => "in service",
            MemberState::Leaving => "leaving",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_is_neither_in_service_nor_busy() {
        let member =
            |state, busy| Member { id: "w".into(), since: DateTime::UNIX_EPOCH, state, busy };
        let members = vec![
            member(MemberState::Starting, false),
            member(MemberState::InService, true),
            member(MemberState::InService, false),
            member(MemberState::Leaving, true),
        ];
        let view = FleetView { target: 3, members, short: 0 };
        assert_eq!((view.in_service(), view.busy()), (2, 1));
    }
}
