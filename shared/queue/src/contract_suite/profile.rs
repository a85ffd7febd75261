//! How a backend, or the stand-in that it is tested on, is known to differ from the contract.

/// The known differences of a backend, each with the check that it breaks and its reason. What is named here is
/// skipped and printed, never weakened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    name: String,
    deviations: Vec<Deviation>,
}

/// One check that a backend does not pass, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deviation {
    pub(super) check: String,
    pub(super) reason: String,
}

impl Profile {
    /// A backend, called `name`, that keeps every promise.
    pub fn exact(name: impl Into<String>) -> Self {
        Self { name: name.into(), deviations: Vec::new() }
    }

    /// As this, but not passing `check`, for a `reason` that is printed. The name of a check is the one that the
    /// suite prints; one that does not exist fails the suite.
    #[must_use]
    pub fn without(mut self, check: &str, reason: &str) -> Self {
        self.deviations.push(Deviation { check: check.to_owned(), reason: reason.to_owned() });
        self
    }

    /// As this, under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// SQS FIFO itself, as AWS documents it: what the interface of SQS cannot tell.
    pub fn sqs() -> Self {
        Self::exact("SQS")
            .without("duplicates_are_reported", "SQS answers a duplicate as if it were the first")
            .without(
                "counts_follow_the_messages",
                "SQS counts approximately, and tells neither groups nor the age of the oldest message",
            )
    }

    /// `ministack` 1.5. What it lacks beside that, the backend makes up for by itself: it deletes by an expired
    /// receipt, and knows no ceiling of a lease.
    pub fn ministack() -> Self {
        Self::sqs().named("ministack")
    }

    /// `moto` 5.2. It also acts on the receipt of an earlier lease, which the backend does not ask it to do.
    pub fn moto() -> Self {
        let dedup =
            "moto looks for duplicates among the messages that are still there, of any group";
        Self::sqs()
            .named("moto")
            .without("deduplication_outlives_the_message", dedup)
            .without("deduplication_is_per_group", dedup)
            .without(
                "many_consumers_get_each_message_once_and_in_order",
                "moto answers in threads and guards a queue by no lock, so that two receives at once may take of \
                 one group",
            )
    }

    /// The backend's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why the backend does not pass this check; `None` if it should.
    pub fn excuse(&self, check: &str) -> Option<&str> {
        let deviation = self.deviations.iter().find(|deviation| deviation.check == check);
        deviation.map(|deviation| deviation.reason.as_str())
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &str> {
        self.deviations.iter().map(|deviation| deviation.check.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract_suite::check_names;

    #[test]
    fn an_excuse_covers_the_check_it_names_and_no_other() {
        let profile = Profile::exact("a backend").without("duplicates_are_reported", "it is shy");
        assert_eq!(profile.excuse("duplicates_are_reported"), Some("it is shy"));
        assert_eq!(profile.excuse("deduplication_is_per_group"), None);
    }

    #[test]
    fn every_deviation_names_a_check_that_exists() {
        for profile in [Profile::sqs(), Profile::ministack(), Profile::moto()] {
            for check in profile.checks() {
                assert!(check_names().contains(&check), "{}: {check}", profile.name());
            }
        }
    }
}
