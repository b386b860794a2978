//! What waits in front of a lane's next batch, and how much of each goes into it.
//!
//! Children that are to be started wait apart. A fan-out makes thousands of them at once; started as fast as commits
//! go through, they would pile up as tasks that nobody takes yet, and keep the reports waiting that free the slots for
//! them. So a batch starts about as many children as it holds other commands: as many as reports free slots.

use std::collections::VecDeque;

use fulcrum_core::decide::CommandKind;
use fulcrum_core::decide::command::{Mail, MailBody};
use tokio::sync::mpsc;

use super::item::Item;
use super::lane::deliver;

/// Children that a batch starts at least, if as many wait.
const STARTS_MIN: usize = 64;

/// The items that a lane holds in memory.
#[derive(Debug)]
pub(super) struct Backlog {
    items: VecDeque<Item>,
    starts: VecDeque<Item>,
    mail_max: usize,
}

/// What a batch was drawn from.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    starts: usize,
    others: usize,
}

impl Backlog {
    /// Empty; keeps at most `mail_max` pieces of mail beside what has to be answered.
    pub(super) fn new(mail_max: usize) -> Self {
        Self {
            items: VecDeque::new(),
            starts: VecDeque::new(),
            mail_max,
        }
    }

    /// Behind everything else.
    pub(super) fn push(&mut self, item: Item) {
        self.items.push_back(item);
    }

    /// Before everything else: it has waited its turn once.
    pub(super) fn push_first(&mut self, item: Item) {
        self.items.push_front(item);
    }

    /// Mail that was just written, if there is room. The mail loop finds what there is none for.
    pub(super) fn offer(&mut self, mail: &Mail) {
        if self.items.len() + self.starts.len() >= self.mail_max {
            return;
        }
        let item = Item::internal(deliver(mail), mail.root);
        match mail.body {
            // A parent goes on behind the children that it has told to start.
            MailBody::Start(_) | MailBody::Continue => self.starts.push_back(item),
            MailBody::JoinProgressed { .. } | MailBody::Cancel { .. } => self.push(item),
        }
    }

    /// Drops what nobody waits for: it is durable as mail.
    pub(super) fn keep_awaited(&mut self) {
        self.items.retain(|item| item.reply.is_some());
        self.starts.clear();
    }

    /// More for a batch of which so much is drawn, together with what waits in the queue; `max` items in all.
    pub(super) fn draw(
        &mut self,
        queue: &mut mpsc::Receiver<Item>,
        drawn: &mut Drawn,
        max: usize,
    ) -> Vec<Item> {
        let room = self.room(drawn, max);
        let mut batch: Vec<Item> = self.items.drain(..self.items.len().min(room)).collect();
        while batch.len() < room {
            match queue.try_recv() {
                Ok(item) => batch.push(item),
                Err(_) => break,
            }
        }
        drawn.others += batch.len();
        let starts = drawn.others.max(STARTS_MIN).min(max - drawn.others);
        let starts = starts.saturating_sub(drawn.starts).min(self.starts.len());
        drawn.starts += starts;
        batch.extend(self.starts.drain(..starts));
        batch
    }

    /// May more be drawn than children to start?
    pub(super) fn has_room(&self, drawn: &Drawn, max: usize) -> bool {
        self.room(drawn, max) > 0
    }

    fn room(&self, drawn: &Drawn, max: usize) -> usize {
        let for_starts = (self.starts.len() + drawn.starts).min(max / 2);
        max.saturating_sub(for_starts.max(drawn.starts) + drawn.others)
    }
}

/// Does the command bring its run into being?
pub(super) fn is_start(kind: &CommandKind) -> bool {
    match kind {
        CommandKind::Start(_) => true,
        CommandKind::Mail { body, .. } => match body {
            MailBody::Start(_) => true,
            MailBody::JoinProgressed { .. } | MailBody::Cancel { .. } | MailBody::Continue => false,
        },
        CommandKind::Report(_)
        | CommandKind::AppendJournal(_)
        | CommandKind::TaskDue(_)
        | CommandKind::TimerFired { .. }
        | CommandKind::Signal { .. }
        | CommandKind::DecideReview(_)
        | CommandKind::Cancel { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fulcrum_core::decide::Command;
    use fulcrum_core::decide::command::Start;
    use fulcrum_core::event::{Actor, Entry};
    use fulcrum_core::ids::{DefinitionHash, MailId, NamespaceId, RunId, Shard};
    use fulcrum_core::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn root() -> RunId {
        RunId::new(Timestamp::from_millis(1), Shard(0), 1)
    }

    fn child(n: u32) -> Mail {
        let to = RunId::child(root(), "each~1", n);
        let start = Start {
            namespace: NamespaceId(Uuid::from_u128(1)),
            workflow: "w".to_owned(),
            definition: DefinitionHash([0; 32]),
            entry: Entry::Workflow,
            root: root(),
            parent: None,
            depth: 1,
            input: None,
            new_payload: None,
            scope: BTreeMap::new(),
            idempotency_key: None,
            trace: None,
        };
        Mail {
            id: MailId::of(to, "start", 0),
            to,
            root: root(),
            from: root(),
            body: MailBody::Start(Box::new(start)),
        }
    }

    fn other() -> Item {
        let command = Command {
            run: root(),
            actor: Actor::System,
            trace: None,
            kind: CommandKind::Cancel {
                reason: String::new(),
            },
        };
        Item::internal(command, root())
    }

    /// How many of a batch are starts, and how many are not.
    fn shares(batch: &[Item]) -> (usize, usize) {
        let starts = batch.iter().filter(|item| is_start(&item.command.kind));
        let starts = starts.count();
        (starts, batch.len() - starts)
    }

    #[test]
    fn a_batch_starts_as_many_children_as_it_holds_other_commands() {
        let mut backlog = Backlog::new(10_000);
        (0..2_000).for_each(|n| backlog.offer(&child(n)));
        let (sender, mut queue) = mpsc::channel(1_000);
        let mut draw = || shares(&backlog.draw(&mut queue, &mut Drawn::default(), 256));
        assert_eq!(draw(), (64, 0));
        for (waiting, expected) in [(20, (64, 20)), (100, (100, 100)), (400, (128, 128))] {
            (0..waiting).for_each(|_| sender.try_send(other()).expect("room"));
            assert_eq!(draw(), expected);
        }
    }

    #[test]
    fn a_batch_that_is_drawn_bit_by_bit_has_the_same_shares() {
        let mut backlog = Backlog::new(10_000);
        (0..2_000).for_each(|n| backlog.offer(&child(n)));
        let (sender, mut queue) = mpsc::channel(1_000);
        let mut drawn = Drawn::default();
        let mut all = (0, 0);
        let mut draw = |waiting: u32| {
            (0..waiting).for_each(|_| sender.try_send(other()).expect("room"));
            let (starts, others) = shares(&backlog.draw(&mut queue, &mut drawn, 256));
            all = (all.0 + starts, all.1 + others);
            all
        };
        assert_eq!(draw(0), (64, 0));
        assert_eq!(draw(0), (64, 0));
        assert_eq!(draw(50), (64, 50));
        assert_eq!(draw(50), (100, 100));
        assert_eq!(draw(400), (128, 128));
        assert_eq!(draw(1), (128, 128));
    }

    #[test]
    fn mail_beyond_the_bound_is_left_to_the_mail_loop_and_what_is_awaited_is_not() {
        let mut backlog = Backlog::new(10);
        (0..20).for_each(|n| backlog.offer(&child(n)));
        (0..20).for_each(|_| backlog.push(other()));
        let (_sender, mut queue) = mpsc::channel(1);
        let mut draw = || shares(&backlog.draw(&mut queue, &mut Drawn::default(), 256));
        assert_eq!(draw(), (10, 20));
        assert_eq!(draw(), (0, 0));
    }
}
