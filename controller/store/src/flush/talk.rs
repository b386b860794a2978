//! What the runs of a family tell each other, as the call of a commit takes it: mail, and the joins by which parents hear
//! of their children.

use std::collections::BTreeMap;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{MailId, RunId};
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::join::Teller;
use fulcrum_core::store::{Commit, JoinKey, JoinOp};

use super::messages::Letters;
use crate::column::decode;
use crate::problem::Problem;

/// The rows of a batch. Sorted where they are locked, by the call.
#[derive(Default)]
pub(super) struct Talk<'c> {
    pub(super) consumed: Vec<(MailId, RunId)>,
    pub(super) outgoing: Vec<Letter<'c>>,
    pub(super) opened: Vec<Opened<'c>>,
    pub(super) moved: Vec<Moved<'c>>,
    pub(super) items: Vec<Item>,
    pub(super) given_up: Vec<&'c JoinKey>,
}

/// Mail with its encoded body.
pub(super) struct Letter<'c> {
    pub(super) mail: &'c Mail,
    pub(super) body: Vec<u8>,
}

/// A join that begins.
pub(super) struct Opened<'c> {
    pub(super) key: &'c JoinKey,
    pub(super) notify_at: u32,
    pub(super) on_failure: bool,
}

/// A join that comes further.
pub(super) struct Moved<'c> {
    pub(super) key: &'c JoinKey,
    pub(super) closed: u32,
    pub(super) failed: u32,
    pub(super) notify_at: Option<u32>,
    pub(super) teller: Teller,
    /// The mail in which the parent may be told, without the counts at the end of its body.
    pub(super) mail: MailId,
    pub(super) body: Vec<u8>,
}

/// A child that closed.
pub(super) struct Item {
    /// Place of its join among those that come further, from 1.
    pub(super) join: i32,
    pub(super) index: u32,
    pub(super) output: Option<PayloadRef>,
    pub(super) failure: Option<Vec<u8>>,
}

/// What a batch does to one join.
enum Change<'c> {
    Opened(Opened<'c>),
    Moved {
        closed: BTreeMap<u32, (Option<PayloadRef>, Option<&'c Failure>)>,
        notify_at: Option<u32>,
        teller: Teller,
    },
    GivenUp,
}

impl<'c> Talk<'c> {
    /// What a batch tells. `None` if the order of its changes to a join matters (it begins or ends in the middle of them,
    /// or a child closes twice): that is for the rule itself to work out.
    pub(super) fn of(commits: &[&'c Commit]) -> Result<Option<Self>, Problem> {
        let mut changes: BTreeMap<&'c JoinKey, Change<'c>> = BTreeMap::new();
        for commit in commits {
            for op in &commit.joins {
                let teller = Teller::of(commit);
                if !add(&mut changes, op, teller) {
                    return Ok(None);
                }
            }
        }
        let letters = Letters::of(commits, &[]);
        let mut talk = Self {
            consumed: letters.consumed,
            ..Self::default()
        };
        for mail in letters.outgoing {
            let body = postcard::to_stdvec(&mail.body).map_err(unencodable)?;
            talk.outgoing.push(Letter { mail, body });
        }
        for (key, change) in changes {
            match change {
                Change::Opened(opened) => talk.opened.push(opened),
                Change::GivenUp => talk.given_up.push(key),
                Change::Moved {
                    closed,
                    notify_at,
                    teller,
                } => talk.moved(key, closed, notify_at, teller)?,
            }
        }
        Ok(Some(talk))
    }

    fn moved(
        &mut self,
        key: &'c JoinKey,
        items: BTreeMap<u32, (Option<PayloadRef>, Option<&'c Failure>)>,
        notify_at: Option<u32>,
        teller: Teller,
    ) -> Result<(), Problem> {
        let place = self.moved.len() + 1;
        let join = i32::try_from(place).map_err(|_| Problem::schema("too many joins"))?;
        let (mut closed, mut failed) = (0, 0);
        for (index, (output, failure)) in items {
            closed += 1;
            failed += u32::from(failure.is_some());
            self.items.push(Item {
                join,
                index,
                output,
                failure: failure
                    .map(postcard::to_stdvec)
                    .transpose()
                    .map_err(unencodable)?,
            });
        }
        let told = teller.tell(key, 0, 0);
        let mut body = postcard::to_stdvec(&told.body).map_err(unencodable)?;
        // Each count of zero is one byte.
        body.truncate(body.len().saturating_sub(2));
        self.moved.push(Moved {
            key,
            closed,
            failed,
            notify_at,
            teller,
            mail: told.id,
            body,
        });
        Ok(())
    }

    /// What parents were told, from the call's answer: places among the joins that came further, and the counts.
    pub(super) fn told(
        &self,
        places: Vec<i32>,
        closed: Vec<i64>,
        failed: Vec<i64>,
    ) -> Result<Vec<Mail>, Problem> {
        let counts = closed.into_iter().zip(failed);
        let mut mail = Vec::with_capacity(places.len());
        for (place, (closed, failed)) in places.into_iter().zip(counts) {
            let place = usize::try_from(place).unwrap_or(0);
            let moved = place
                .checked_sub(1)
                .and_then(|place| self.moved.get(place))
                .ok_or_else(|| Problem::schema("a join came back that was not asked for"))?;
            let (closed, failed) = (decode::count32(closed)?, decode::count32(failed)?);
            mail.push(moved.teller.tell(moved.key, closed, failed));
        }
        Ok(mail)
    }
}

/// Adds an op to what is done to its join; false if they do not commute.
fn add<'c>(changes: &mut BTreeMap<&'c JoinKey, Change<'c>>, op: &'c JoinOp, by: Teller) -> bool {
    let key = op.key();
    let alone = match op {
        JoinOp::Open {
            notify_at,
            notify_on_failure,
            ..
        } => Some(Change::Opened(Opened {
            key,
            notify_at: *notify_at,
            on_failure: *notify_on_failure,
        })),
        JoinOp::Close { .. } => Some(Change::GivenUp),
        JoinOp::NotifyAt { .. } | JoinOp::ItemClosed { .. } => None,
    };
    if let Some(change) = alone {
        return changes.insert(key, change).is_none();
    }
    let fresh = Change::Moved {
        closed: BTreeMap::new(),
        notify_at: None,
        teller: by,
    };
    let Change::Moved {
        closed,
        notify_at: wanted,
        teller,
    } = changes.entry(key).or_insert(fresh)
    else {
        return false;
    };
    *teller = by;
    match op {
        JoinOp::NotifyAt { notify_at, .. } => {
            *wanted = Some(*notify_at);
            true
        }
        JoinOp::ItemClosed {
            index,
            output,
            failure,
            ..
        } => closed.insert(*index, (*output, failure.as_ref())).is_none(),
        JoinOp::Open { .. } | JoinOp::Close { .. } => false,
    }
}

fn unencodable(error: postcard::Error) -> Problem {
    Problem::schema(format!("what runs tell does not encode: {error}"))
}

#[cfg(test)]
mod tests {
    use fulcrum_core::decide::command::MailBody;
    use fulcrum_core::event::StepKey;
    use fulcrum_core::ids::{CommitId, Shard};
    use fulcrum_core::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_counts_are_the_end_of_what_a_parent_is_told() {
        let run = RunId::new(Timestamp::from_millis(1), Shard(1), 1);
        let key = JoinKey {
            run,
            root: run,
            step: StepKey::first("items"),
        };
        let teller = Teller {
            run,
            commit: CommitId(Uuid::from_u128(9)),
        };
        let mut talk = Talk::default();
        talk.moved(&key, BTreeMap::new(), None, teller).unwrap();
        // As the database puts it together.
        let mut body = talk.moved[0].body.clone();
        body.extend([0xAC, 0x02, 0x01]);
        let expected = MailBody::JoinProgressed {
            step: key.step.clone(),
            closed: 300,
            failed: 1,
        };
        assert_eq!(postcard::from_bytes::<MailBody>(&body).unwrap(), expected);
    }
}
