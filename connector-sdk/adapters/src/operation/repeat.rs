//! What a lost reply means.

use fulcrum_sdk::{Contract, EffectClass, Failure, Idempotency};

/// Whether a call whose outcome is not known may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It reads, or doing it twice is the same as doing it once.
    Harmless,
    /// A second call would do it twice.
    Doubles,
}

impl Repeat {
    /// What the contract promises.
    pub fn of(contract: &Contract) -> Self {
        match (contract.effect, contract.idempotency) {
            (EffectClass::Read, _) | (_, Idempotency::Natural | Idempotency::Keyed) => {
                Self::Harmless
            }
            (
                EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward,
                Idempotency::None,
            ) => Self::Doubles,
        }
    }

    /// The failure of a call that may have left and was not answered: retried where that is harmless, else *unknown*.
    pub fn lost(self, code: &str, message: impl Into<String>) -> Failure {
        match self {
            Self::Harmless => Failure::transient(code, message),
            Self::Doubles => Failure::unknown(code, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_write_without_idempotency_doubles() {
        use EffectClass::{Irreversible, Outward, Read, Reversible};
        for effect in [Read, Reversible, Irreversible, Outward] {
            for idempotency in [Idempotency::Natural, Idempotency::Keyed, Idempotency::None] {
                let contract = Contract::new("a.b", effect).idempotency(idempotency);
                let doubles = effect != Read && idempotency == Idempotency::None;
                assert_eq!(
                    Repeat::of(&contract) == Repeat::Doubles,
                    doubles,
                    "{contract:?}"
                );
            }
        }
    }
}
