//! A worker's side: the machine that it runs on, where that machine may be taken away.

use crate::error::FleetError;

/// The machine of one worker.
///
/// Losing it is never a fault: whatever a worker had in hand is delivered again. These calls save time, by handing
/// work back before the machine has gone, and by letting others go first.
#[async_trait::async_trait]
pub trait Instance: Send + Sync + 'static {
    /// The machine's name, such as `i-0123456789abcdef0`.
    fn id(&self) -> &str;

    /// Whether the machine may be taken away when fewer are needed. `on` while there is work in hand.
    ///
    /// # Errors
    /// When the backend does not answer, or the machine does not belong to the fleet, or not yet.
    async fn protect(&self, on: bool) -> Result<(), FleetError>;

    /// What the machine says about its future. Cheap: to be asked every few seconds.
    ///
    /// # Errors
    /// When the machine does not answer; what is about to happen is then not known.
    async fn notice(&self) -> Result<Notice, FleetError>;

    /// The worker has handed its work back: the machine may go at once. No error where nobody waits for it.
    ///
    /// # Errors
    /// When the backend does not answer; the machine then goes when the time it was given has run out.
    async fn gone(&self) -> Result<(), FleetError>;
}

/// What a machine says about its future.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Nothing: it stays.
    None,
    /// It is more likely than others to be taken away, and may never be. Names the recommendation, so that one is
    /// told from the next.
    AtRisk(String),
    /// It goes within minutes. Says why, for people.
    Leave(String),
}
