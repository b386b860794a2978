//! What must be true: of every commit as it happens ([`witness`]), of what people were told ([`ledger`]), and of
//! everything when all is quiet ([`judge`]).

mod fates;
pub mod judge;
pub mod ledger;
pub mod witness;
