//! When to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that trips on SIGINT or SIGTERM. Must be called within a tokio runtime. The second signal ends the
/// process at once, with exit status 130.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let tripped = token.clone();
    tokio::spawn(async move {
        let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if tripped.is_cancelled() {
                std::process::exit(130);
            }
            tripped.cancel();
        }
    });
    token
}
