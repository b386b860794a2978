//! A worker as the hall knows it: its parked calls, its free slots, and the grants that wait for its next call.

use std::collections::VecDeque;
use std::time::Duration;

use fulcrum_core::store::Beat;
use tokio::time::Instant;

use super::poll::{Answer, Parcel, Poll, fitting};
use crate::engine::recent::RecentGrants;

/// How long the slots that an answered call had left count as free: its worker is about to call again.
pub(super) const CREDIT_MAX: Duration = Duration::from_millis(250);

/// A worker with parked calls, or with grants that wait for its next one.
#[derive(Debug, Default)]
pub(super) struct Guest {
    pub(super) polls: VecDeque<Poll>,
    /// Slots of the parked calls.
    slots: u32,
    /// Slots that answered calls had left. The worker offers them again with its next call; until then tasks are
    /// leased to them, too, and wait for it.
    credit: u32,
    credit_since: Option<Instant>,
    /// Slots that a commit or a claim under way has taken.
    pub(super) taken: u32,
    pub(super) undelivered: Vec<(Instant, Parcel)>,
}

impl Guest {
    /// Slots that nobody has spoken for.
    pub(super) fn free(&self, now: Instant) -> u32 {
        let credit = if self.is_lent(now) { self.credit } else { 0 };
        let spoken_for = u32::try_from(self.undelivered.len()).unwrap_or(u32::MAX);
        (self.slots + credit)
            .saturating_sub(self.taken)
            .saturating_sub(spoken_for)
    }

    /// Parks a call.
    pub(super) fn call(&mut self, poll: Poll) {
        match poll.answer {
            // These were counted when an earlier answer left them.
            Answer::AtOnce(_) => self.credit = self.credit.saturating_sub(poll.wish.slots),
            Answer::AtTheEnd(_) => {}
        }
        self.slots = self.slots.saturating_add(poll.wish.slots);
        self.polls.push_back(poll);
    }

    /// Answers lease calls with what is there to deliver; tells how many calls are gone from the hall.
    pub(super) fn serve(&mut self, recent: &RecentGrants, input_bytes_max: u64) -> usize {
        let mut gone = 0;
        let mut waiting = std::mem::take(&mut self.polls);
        while let Some(poll) = waiting.pop_front() {
            if self.undelivered.is_empty() {
                self.polls.push_back(poll);
                self.polls.append(&mut waiting);
                break;
            }
            let reply = match poll.answer {
                Answer::AtOnce(reply) => reply,
                Answer::AtTheEnd(_) => {
                    self.polls.push_back(poll);
                    continue;
                }
            };
            gone += 1;
            self.slots = self.slots.saturating_sub(poll.wish.slots);
            if reply.is_closed() {
                continue;
            }
            let parcels = self.fetch(poll.wish.slots, input_bytes_max);
            let left = poll.wish.slots.saturating_sub(count(&parcels));
            // Before the answer: whoever gets it and loses it may ask again at once.
            recent.remember(poll.wish.worker, &poll.wish.call_id, &parcels);
            if let Err(parcels) = reply.send(parcels) {
                recent.forget(poll.wish.worker, &poll.wish.call_id, &parcels);
                let now = Instant::now();
                let back = parcels.into_iter().map(|parcel| (now, parcel));
                self.undelivered.splice(0..0, back);
            } else {
                self.lend(left);
            }
        }
        gone
    }

    /// What one answer for so many slots carries.
    pub(super) fn fetch(&mut self, slots: u32, input_bytes_max: u64) -> Vec<Parcel> {
        let parcels = self.undelivered.iter().map(|(_, parcel)| parcel);
        let rest = self
            .undelivered
            .split_off(fitting(parcels, slots, input_bytes_max));
        std::mem::replace(&mut self.undelivered, rest)
            .into_iter()
            .map(|(_, parcel)| parcel)
            .collect()
    }

    /// A call that left a report's place: it is gone, and its slots are the worker's to offer again.
    pub(super) fn stand_up(&mut self, number: u64) -> Option<Poll> {
        let own = |poll: &Poll| matches!(poll.answer, Answer::AtTheEnd(n) if n == number);
        let poll = self.polls.remove(self.polls.iter().position(own)?)?;
        self.slots = self.slots.saturating_sub(poll.wish.slots);
        Some(poll)
    }

    /// The worker is about to offer these slots again.
    pub(super) fn lend(&mut self, slots: u32) {
        self.credit = self.credit.saturating_add(slots);
        self.credit_since = Some(Instant::now());
    }

    /// Takes places back from what was claimed or committed without using them.
    pub(super) fn put_back(&mut self, slots: u32) {
        self.taken = self.taken.saturating_sub(slots);
    }

    /// Keeps a grant for the next call.
    pub(super) fn keep(&mut self, parcel: Parcel) {
        self.undelivered.push((Instant::now(), parcel));
    }

    /// Drops calls that nobody waits for any more, and lends their slots. Tells how many they were.
    pub(super) fn drop_gone(&mut self) -> usize {
        let before = self.polls.len();
        let mut freed = 0;
        self.polls.retain(|poll| {
            if poll.is_gone() {
                freed += poll.wish.slots;
            }
            !poll.is_gone()
        });
        self.slots = self.slots.saturating_sub(freed);
        self.lend(freed);
        before - self.polls.len()
    }

    /// Answers calls whose time is over and forgets those that have gone. Tells `due` what will have to be looked at
    /// when, and `stale` the grants that nobody has fetched within `undelivered_max`.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        undelivered_max: Duration,
        mut due: impl FnMut(Instant),
        stale: &mut Vec<Beat>,
    ) {
        for poll in std::mem::take(&mut self.polls) {
            if poll.is_gone() {
                continue;
            }
            if poll.wish.deadline > now {
                due(poll.wish.deadline);
                self.polls.push_back(poll);
            } else {
                poll.answer_empty();
            }
        }
        self.slots = self.polls.iter().map(|poll| poll.wish.slots).sum();
        self.undelivered.retain(|(since, parcel)| {
            let until = *since + undelivered_max;
            if until > now {
                due(until);
            } else {
                stale.push(parcel.beat());
            }
            until > now
        });
        if !self.is_lent(now) {
            self.credit = 0;
        }
    }

    /// Is there nothing to remember of this worker?
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.polls.is_empty()
            && self.undelivered.is_empty()
            && self.taken == 0
            && !self.is_lent(now)
    }

    /// Answers all calls empty. Gives the grants that nobody has fetched.
    pub(super) fn close(&mut self) -> Vec<Beat> {
        self.polls.drain(..).for_each(Poll::answer_empty);
        (self.slots, self.credit) = (0, 0);
        self.undelivered
            .drain(..)
            .map(|(_, parcel)| parcel.beat())
            .collect()
    }

    fn is_lent(&self, now: Instant) -> bool {
        self.credit_since
            .is_some_and(|since| since + CREDIT_MAX > now)
    }
}

/// How many tasks an answer carries.
pub(super) fn count(parcels: &[Parcel]) -> u32 {
    u32::try_from(parcels.len()).unwrap_or(u32::MAX)
}
