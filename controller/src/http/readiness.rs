//! Whether this controller should get calls, and if not, why.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// Shared by whoever knows something about readiness. A new one is not ready.
#[derive(Clone)]
pub struct Readiness {
    obstacle: Arc<ArcSwapOption<&'static str>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            obstacle: Arc::new(ArcSwapOption::from_pointee("starting")),
        }
    }
}

impl Readiness {
    /// Calls are welcome.
    pub fn ready(&self) {
        self.obstacle.store(None);
    }

    /// Calls should go elsewhere, for this reason.
    pub fn not_ready(&self, reason: &'static str) {
        self.obstacle.store(Some(Arc::new(reason)));
    }

    /// The reason why calls should go elsewhere, if there is one.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'static str> {
        self.obstacle.load().as_deref().copied()
    }
}
