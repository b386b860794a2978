//! Controllers as processes that come and go, the database as each of them sees it, and the network to them.

pub mod call;
pub mod host;
pub mod network;
pub mod serve;
pub mod store;
