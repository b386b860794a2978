//! The hash chain of a timeline, recomputed here from the stored bytes, so that the answer does not rest on the
//! controller's word: each event's hash covers the hash before it, the run, its place, its kind, its schema and its body.
//!
//! What this cannot see alone is a timeline rewritten from its first event, or cut off at its end while the run is open;
//! [`audit`](crate::audit) does.

use fulcrum_proto::audit::v1::RecordedEvent;
use fulcrum_proto::workflow::v1::Event;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::kind;

/// Whether a timeline must have its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The run is closed: the last event must say so.
    Closed,
    /// The run goes on.
    Open,
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many events it has.
    pub events: u64,
    /// Hash of the last.
    pub head: String,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A place is empty or taken twice.
    #[error("event {expected} is missing: event {found} stands in its place")]
    Gap {
        /// The place.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// An event does not follow the one before it.
    #[error("event {seq} does not follow the event before it: one of them was replaced")]
    Unlinked {
        /// The event.
        seq: u64,
    },
    /// An event is not what was hashed.
    #[error("event {seq} was changed: its bytes do not give its hash")]
    Changed {
        /// The event.
        seq: u64,
    },
    /// A closed run whose timeline does not end.
    #[error(
        "the run is closed, but its timeline ends with event {seq} ({kind}): the end is missing"
    )]
    Truncated {
        /// The last event there is.
        seq: u64,
        /// Its kind.
        kind: String,
    },
}

/// A chain that is being checked, event by event, from the first on.
#[derive(Debug)]
pub struct Chain {
    run: Uuid,
    head: [u8; 32],
    events: u64,
    last_kind: String,
}

impl Chain {
    /// The empty chain of a run.
    #[must_use]
    pub fn new(run: Uuid) -> Self {
        Self {
            run,
            head: [0; 32],
            events: 0,
            last_kind: String::new(),
        }
    }

    /// Checks the next event.
    ///
    /// # Errors
    /// When the chain does not hold there.
    pub fn add(&mut self, event: &Event) -> Result<(), ChainFault> {
        self.in_place(event.seq)?;
        if event.prev_hash.as_ref() != self.head.as_slice() {
            return Err(ChainFault::Unlinked { seq: event.seq });
        }
        // What is hashed is the kind's number; a name that is not its own would show something that did not happen.
        let name = u16::try_from(event.kind_number).ok().and_then(kind::name);
        if name.is_some_and(|name| name != event.kind) {
            return Err(ChainFault::Changed { seq: event.seq });
        }
        self.link(&RecordedEvent {
            seq: event.seq,
            kind_number: event.kind_number,
            schema: event.schema,
            body: event.body.clone(),
            hash: event.hash.clone(),
        })?;
        self.last_kind.clone_from(&event.kind);
        Ok(())
    }

    /// Checks the next event, as it is stored.
    ///
    /// # Errors
    /// When the chain does not hold there.
    pub fn add_recorded(&mut self, event: &RecordedEvent) -> Result<(), ChainFault> {
        self.in_place(event.seq)?;
        self.link(event)?;
        let kind = u16::try_from(event.kind_number).ok();
        let name = kind.and_then(kind::name).map(str::to_owned);
        self.last_kind = name.unwrap_or_else(|| format!("kind {}", event.kind_number));
        Ok(())
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.events
    }

    /// True before the first event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Hash of the last event.
    #[must_use]
    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    fn in_place(&self, seq: u64) -> Result<(), ChainFault> {
        let expected = self.events + 1;
        if seq == expected {
            Ok(())
        } else {
            let found = seq;
            Err(ChainFault::Gap { expected, found })
        }
    }

    fn link(&mut self, event: &RecordedEvent) -> Result<(), ChainFault> {
        let next = link(self.head, self.run, event)?;
        if event.hash.as_ref() != next.as_slice() {
            return Err(ChainFault::Changed { seq: event.seq });
        }
        (self.head, self.events) = (next, event.seq);
        Ok(())
    }

    /// Checks that it has its end.
    ///
    /// # Errors
    /// When the run is closed and its timeline does not say so.
    pub fn finish(self, expect: Expect) -> Result<Verified, ChainFault> {
        if expect == Expect::Closed && !kind::is_last(&self.last_kind) {
            return Err(ChainFault::Truncated {
                seq: self.events,
                kind: self.last_kind,
            });
        }
        Ok(Verified {
            events: self.events,
            head: hex::encode(self.head),
        })
    }
}

/// Checks a whole timeline.
///
/// # Errors
/// The first place where it does not hold.
pub fn verify(run: Uuid, events: &[Event], expect: Expect) -> Result<Verified, ChainFault> {
    let mut chain = Chain::new(run);
    for event in events {
        chain.add(event)?;
    }
    chain.finish(expect)
}

/// SHA-256 over prev ‖ run ‖ seq ‖ kind ‖ schema ‖ body; numbers big-endian, all but the body of fixed length.
fn link(prev: [u8; 32], run: Uuid, event: &RecordedEvent) -> Result<[u8; 32], ChainFault> {
    let changed = || ChainFault::Changed { seq: event.seq };
    let kind = u16::try_from(event.kind_number).map_err(|_| changed())?;
    let schema = u16::try_from(event.schema).map_err(|_| changed())?;
    let mut hash = Sha256::new();
    hash.update(prev);
    hash.update(run.as_bytes());
    hash.update(event.seq.to_be_bytes());
    hash.update(kind.to_be_bytes());
    hash.update(schema.to_be_bytes());
    hash.update(&event.body);
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use fulcrum_core::event::ChainHash;
    use fulcrum_core::ids::RunId;

    use super::*;

    const RUN: Uuid = Uuid::from_u128(0x0193_4d2e_8f00_7abc_8123_4567_89ab_cdef);

    /// A chain as the core makes it.
    fn timeline() -> Vec<Event> {
        let mut head = ChainHash::default();
        let kinds = ["RunStarted", "StepOpened", "StepCompleted", "RunCompleted"];
        (1u64..)
            .zip(kinds)
            .map(|(seq, name)| {
                let number = kind::KINDS
                    .iter()
                    .position(|kind| *kind == name)
                    .expect("a known kind");
                let number = u16::try_from(number).expect("there are few kinds");
                let body = format!("body {seq}").into_bytes();
                let next = head.next(RunId(RUN), seq, number, 1, &body);
                let event = Event {
                    seq,
                    kind: name.to_owned(),
                    kind_number: number.into(),
                    schema: 1,
                    body: body.into(),
                    prev_hash: head.0.to_vec().into(),
                    hash: next.0.to_vec().into(),
                    ..Event::default()
                };
                head = next;
                event
            })
            .collect()
    }

    #[test]
    fn a_chain_of_the_core_holds() {
        let events = timeline();
        let verified = verify(RUN, &events, Expect::Closed).expect("holds");
        assert_eq!(
            (verified.events, verified.head),
            (4, hex::encode(&events[3].hash))
        );
    }

    #[test]
    fn a_changed_body_is_found() {
        let mut events = timeline();
        events[1].body = b"body X".to_vec().into();
        assert_eq!(
            verify(RUN, &events, Expect::Closed),
            Err(ChainFault::Changed { seq: 2 })
        );
    }

    #[test]
    fn a_changed_kind_is_found() {
        let mut events = timeline();
        events[2].kind = "StepFailed".to_owned();
        assert_eq!(
            verify(RUN, &events, Expect::Closed),
            Err(ChainFault::Changed { seq: 3 })
        );
    }

    #[test]
    fn an_event_of_a_later_version_is_checked_too() {
        let mut events = timeline();
        events.truncate(1);
        let head = ChainHash([0; 32]);
        let next = head.next(RunId(RUN), 1, 9_999, 1, &events[0].body);
        (events[0].kind, events[0].kind_number) = ("MoonRose".to_owned(), 9_999);
        events[0].hash = next.0.to_vec().into();
        assert!(verify(RUN, &events, Expect::Open).is_ok());
    }

    #[test]
    fn a_removed_event_is_found_even_when_the_rest_is_renumbered() {
        let mut events = timeline();
        events.remove(1);
        assert_eq!(
            verify(RUN, &events, Expect::Closed),
            Err(ChainFault::Gap {
                expected: 2,
                found: 3
            })
        );
        events[1].seq = 2;
        assert_eq!(
            verify(RUN, &events, Expect::Closed),
            Err(ChainFault::Unlinked { seq: 2 })
        );
    }

    #[test]
    fn a_closed_run_whose_end_is_missing_is_found() {
        let mut events = timeline();
        events.pop();
        let fault = ChainFault::Truncated {
            seq: 3,
            kind: "StepCompleted".to_owned(),
        };
        assert_eq!(verify(RUN, &events, Expect::Closed), Err(fault));
        assert!(verify(RUN, &events, Expect::Open).is_ok());
    }

    #[test]
    fn a_timeline_of_another_run_does_not_pass() {
        assert_eq!(
            verify(Uuid::from_u128(1), &timeline(), Expect::Closed),
            Err(ChainFault::Changed { seq: 1 })
        );
    }
}
