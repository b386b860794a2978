//! Error reasons as they travel in `google.rpc.ErrorInfo`.

use crate::common::v1::ErrorReason;

/// The domain of every `google.rpc.ErrorInfo` that Fulcrum sends.
pub const ERROR_DOMAIN: &str = "fulcrum";

const PREFIX: &str = "ERROR_REASON_";

impl ErrorReason {
    /// The reason's public name, as in `ErrorInfo.reason`: `LEASE_LOST`.
    pub fn name(self) -> &'static str {
        let full = self.as_str_name();
        full.strip_prefix(PREFIX).unwrap_or(full)
    }

    /// The reason with this public name; `None` if this version does not know it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str_name(&format!("{PREFIX}{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_way_through_its_name() {
        assert_eq!(ErrorReason::LeaseLost.name(), "LEASE_LOST");
        assert_eq!(
            ErrorReason::from_name("LEASE_LOST"),
            Some(ErrorReason::LeaseLost)
        );
        assert_eq!(ErrorReason::from_name("NO_SUCH_REASON"), None);
    }
}
