//! What is measured: a database cluster with the settings that a two-core server is recommended, controllers and
//! workers as processes of their own. Each figure builds its own and throws it away.

pub(crate) mod cluster;
pub(crate) mod controller;
pub(crate) mod installation;
pub(crate) mod patience;
pub(crate) mod usage;
pub(crate) mod workflow;
