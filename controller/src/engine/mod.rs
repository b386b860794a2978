//! The engine shell: it loads, asks the core to decide, commits, and only then acts.
//!
//! Commands for a run go to the *lane* of its root ([`router`]), where one task decides everything that waits for a
//! run in sequence and commits many runs in one transaction ([`lane`], [`work`], [`assemble`]). Batching is natural:
//! what queued while the last flush was in flight is the next batch; there is no timer. After the commit, callers are
//! answered, watchers told ([`watch`]), tasks handed to parked calls ([`dispatch`]) and mail delivered to the same lane.
//!
//! [`reaper`], [`timers`] and [`mailroom`] are the backstops: they find what is due in the database and turn it into
//! ordinary commands, so recovery is the normal path run again. They look when something is due: one [`tick`] asks the
//! database for all of them, and fills their [`agenda`]s. Nothing here is a leader; any number of controllers
//! may run these loops on one database, because every commit checks the run's version and the task's lease.

pub mod agenda;
pub mod assemble;
mod backlog;
pub mod beating;
pub mod cache;
pub mod catalog;
pub mod delivery;
pub mod dispatch;
mod hand_off;
pub mod handle;
pub mod herald;
pub mod item;
pub mod lane;
pub mod load;
pub mod loops;
pub mod mailroom;
pub mod news;
pub mod reaper;
pub mod recent;
mod room;
pub mod rounds;
pub mod router;
pub mod start;
pub mod starting;
pub mod tick;
pub mod timers;
pub mod token;
pub mod values;
pub mod watch;
pub mod work;
pub mod working;
