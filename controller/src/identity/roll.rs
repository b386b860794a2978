//! The roll: which identities are in good standing, at most a second or so behind the database.
//!
//! A certificate that verifies is not enough: its identity must be on the roll, active, and the certificate not older
//! than the identity's `min_issued_at`. Every call is checked. A loop refreshes the roll; if it cannot, calls are
//! refused as unavailable rather than answered on old news.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fulcrum_core::time::{Millis, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::name::IdentityId;
use super::principal::PeerCertificate;

/// A roll older than this answers nobody.
pub const ROLL_AGE_MAX: Duration = Duration::from_secs(15);

/// How long a call waits for a refresh that it asked for.
const REFRESH_PATIENCE: Duration = Duration::from_millis(1_500);

/// A stranger with a certificate this young may have been enrolled by another controller a moment ago.
const NEWCOMER_AGE_MAX: Millis = Millis::from_secs(15);

/// The standing of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Welcome, with certificates issued at or after this time.
    Active {
        /// Certificates issued before are refused.
        min_issued_at: Timestamp,
    },
    /// Out.
    Revoked,
}

/// Why a call with a verified certificate is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RollRefusal {
    /// Not on the roll.
    #[error("this identity is not known here; enrol again with a new join token")]
    Unknown,
    /// Not on the roll, but so new that the roll may be behind.
    #[error("this identity was enrolled a moment ago and is not known here yet; try again")]
    TooNew,
    /// Revoked by an operator.
    #[error("this identity was revoked; enrol again with a new join token")]
    Revoked,
    /// The certificate is from before a key change.
    #[error("this certificate was replaced; use the newest one")]
    Replaced,
    /// The certificate has ended while the connection was open.
    #[error("this certificate has expired; renew it and connect again")]
    Expired,
    /// The roll has not been refreshed for too long.
    #[error("identities cannot be checked at the moment; try again")]
    Stale,
}

struct Page {
    revision: i64,
    standings: Arc<HashMap<IdentityId, Standing>>,
    read_at: Option<Instant>,
}

/// See the module.
pub struct Roll {
    page: ArcSwap<Page>,
    wanted: Arc<Notify>,
    read: watch::Sender<Option<Instant>>,
}

impl Default for Roll {
    fn default() -> Self {
        let page = Page {
            revision: -1,
            standings: Arc::default(),
            read_at: None,
        };
        Self {
            page: ArcSwap::from_pointee(page),
            wanted: Arc::default(),
            read: watch::Sender::new(None),
        }
    }
}

impl Roll {
    /// The revision the roll stands at; -1 before the first read.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.page.load().revision
    }

    /// Puts down a newer page, whose reading began at `read_at`. An older one is ignored.
    pub fn replace(
        &self,
        revision: i64,
        standings: HashMap<IdentityId, Standing>,
        read_at: Instant,
    ) {
        let next = Arc::new(Page {
            revision,
            standings: Arc::new(standings),
            read_at: Some(read_at),
        });
        self.page.rcu(|page| {
            if page.revision <= revision {
                Arc::clone(&next)
            } else {
                Arc::clone(page)
            }
        });
        self.read.send_replace(Some(read_at));
    }

    /// Wakes whoever refreshes the roll.
    #[must_use]
    pub fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }

    /// Asks for a refresh and waits for one that began after `asked_at`, for a moment at most.
    pub async fn refreshed(&self, asked_at: Instant) {
        let mut read = self.read.subscribe();
        self.wanted.notify_one();
        let newer = read.wait_for(|read_at| read_at.is_some_and(|read_at| read_at >= asked_at));
        let _in_time = tokio::time::timeout(REFRESH_PATIENCE, newer).await;
    }

    /// Notes that the page was found current.
    pub fn confirm(&self, read_at: Instant) {
        self.page.rcu(|page| Page {
            revision: page.revision,
            standings: Arc::clone(&page.standings),
            read_at: Some(read_at),
        });
        self.read.send_replace(Some(read_at));
    }

    /// Whether the holder of this certificate may call now.
    ///
    /// # Errors
    /// See [`RollRefusal`].
    pub fn check(
        &self,
        peer: &PeerCertificate,
        now: Timestamp,
        at: Instant,
    ) -> Result<(), RollRefusal> {
        let page = self.page.load();
        if page
            .read_at
            .is_none_or(|read| at.saturating_duration_since(read) > ROLL_AGE_MAX)
        {
            return Err(RollRefusal::Stale);
        }
        if peer.not_after <= now {
            return Err(RollRefusal::Expired);
        }
        match page.standings.get(&peer.principal.id) {
            Some(Standing::Active { min_issued_at })
                if seconds(peer.issued_at) >= seconds(*min_issued_at) =>
            {
                Ok(())
            }
            Some(Standing::Active { .. }) => Err(RollRefusal::Replaced),
            Some(Standing::Revoked) => Err(RollRefusal::Revoked),
            None if now.since(peer.issued_at) < NEWCOMER_AGE_MAX => Err(RollRefusal::TooNew),
            None => Err(RollRefusal::Unknown),
        }
    }
}

/// Certificates know whole seconds only.
fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::identity::principal::Principal;
    use crate::identity::{InstallId, Role, Scope};

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const ME: IdentityId = IdentityId(Uuid::from_u128(1));

    fn peer(issued_s_ago: i64) -> PeerCertificate {
        PeerCertificate {
            principal: Principal {
                install: InstallId::new([0; 8]),
                scope: Scope::Every,
                role: Role::Operator,
                id: ME,
            },
            serial: "01".to_owned(),
            issued_at: Timestamp(NOW.0 - issued_s_ago * 1_000_000),
            not_after: NOW.plus(Millis::from_secs(60)),
        }
    }

    fn roll(standing: Option<Standing>, at: Instant) -> Roll {
        let roll = Roll::default();
        roll.replace(1, standing.map(|s| (ME, s)).into_iter().collect(), at);
        roll
    }

    #[test]
    fn only_the_active_with_a_current_certificate_may_call() {
        let at = Instant::now();
        let since = |s: i64| Standing::Active {
            min_issued_at: Timestamp(NOW.0 - s * 1_000_000),
        };
        assert_eq!(roll(Some(since(100)), at).check(&peer(50), NOW, at), Ok(()));
        assert_eq!(
            roll(Some(since(10)), at).check(&peer(50), NOW, at),
            Err(RollRefusal::Replaced)
        );
        assert_eq!(
            roll(Some(Standing::Revoked), at).check(&peer(50), NOW, at),
            Err(RollRefusal::Revoked)
        );
        assert_eq!(
            roll(None, at).check(&peer(50), NOW, at),
            Err(RollRefusal::Unknown)
        );
        assert_eq!(
            roll(None, at).check(&peer(1), NOW, at),
            Err(RollRefusal::TooNew)
        );
        let ended = NOW.plus(Millis::from_secs(60));
        assert_eq!(
            roll(Some(since(100)), at).check(&peer(50), ended, at),
            Err(RollRefusal::Expired)
        );
    }

    #[test]
    fn a_roll_that_is_not_refreshed_answers_nobody() {
        let at = Instant::now();
        let roll = roll(
            Some(Standing::Active {
                min_issued_at: Timestamp(0),
            }),
            at,
        );
        let later = at + ROLL_AGE_MAX + Duration::from_millis(1);
        assert_eq!(roll.check(&peer(50), NOW, later), Err(RollRefusal::Stale));
        roll.confirm(later);
        assert_eq!(roll.check(&peer(50), NOW, later), Ok(()));
        assert_eq!(
            Roll::default().check(&peer(50), NOW, at),
            Err(RollRefusal::Stale)
        );
    }

    #[test]
    fn an_older_page_does_not_undo_a_newer_one() {
        let at = Instant::now();
        let roll = roll(Some(Standing::Revoked), at);
        roll.replace(
            0,
            HashMap::from([(
                ME,
                Standing::Active {
                    min_issued_at: Timestamp(0),
                },
            )]),
            at,
        );
        assert_eq!(roll.check(&peer(50), NOW, at), Err(RollRefusal::Revoked));
    }
}
