//! What is known before any run: namespaces, definitions, contracts.

mod contracts;
mod definitions;
mod namespaces;
mod once;
mod portion;

pub use contracts::{Capability, Contracts, NewContract, StoredContract};
pub(crate) use contracts::{EffectClassColumn, bump, insert as insert_contracts};
pub use definitions::{Applied, Definitions, NewDefinition, StoredDefinition};
pub use namespaces::{Creation, Namespace, NamespaceCreation, NamespaceRefusal, Namespaces};
pub use once::{Answered, Once, RequestNote};
pub use portion::{Portion, Rest};

/// A page of a listing: what comes after a position, at most so many rows. Ask for one more than you show to learn
/// whether there is a next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// The last position of the page before; `None` for the first page.
    pub after: Option<K>,
    /// At most so many rows.
    pub rows: u32,
}

impl<K> Page<K> {
    /// The first page.
    #[must_use]
    pub const fn first(rows: u32) -> Self {
        Self { after: None, rows }
    }
}
