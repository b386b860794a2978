//! The key-encryption key (KEK), and what rests sealed under it.
//!
//! Private keys that rest in the database are sealed under a key that does not: whoever reads the database, or a copy
//! of it, has none of them. Whoever can *write* to the database is not kept out by this.
//!
//! - [`kek`]: sealing and opening; several keys may be configured: the first seals, all open, and that is how one takes
//!   another's place. [`material`]: the 32 bytes and their text form.
//! - [`source`]: where a key comes from, and the seam for a key service; [`file`], [`environment`], [`command`]: the
//!   sources there are. [`gather`](gather::gather): all that are configured.
//! - [`place`]: the context that binds sealed bytes to their table, column and row.

pub mod command;
pub mod environment;
pub mod file;
pub mod gather;
pub mod kek;
pub mod material;
pub mod place;
pub mod source;

pub use gather::{KeysError, gather};
pub use kek::{Kek, KeyError, KeyId};
pub use material::KeyMaterial;
pub use place::Place;
pub use source::{KeySource, SourceError};
