//! When to stop: on SIGTERM, on Ctrl-C, or when the parent process has gone.

use crate::view;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often to look after the parent.
const PARENT_INTERVAL: Duration = Duration::from_millis(500);

/// A token that is cancelled at the first signal. The second one ends the process on the spot.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = token.clone();
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                view::tell("feedfleet: stopped at once; work in hand is delivered again");
                std::process::exit(130);
            }
            tracing::info!("told to stop");
            told.cancel();
        }
    });
    Ok(token)
}

/// Cancels the token when the process `parent` is no longer this one's parent.
pub fn with_parent(parent: i32, token: CancellationToken) {
    tokio::spawn(async move {
        while !token.is_cancelled() {
            let present = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
            if present != Some(parent) {
                tracing::warn!(parent, "the parent process has gone, stopping");
                token.cancel();
            }
            tokio::time::sleep(PARENT_INTERVAL).await;
        }
    });
}
