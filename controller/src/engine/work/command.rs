//! What a command says of itself, before it is decided.

use fulcrum_core::decide::command::MailBody;
use fulcrum_core::decide::{CommandKind, Rejection};
use fulcrum_core::ids::{DefinitionHash, MailId, NamespaceId, TaskId};
use fulcrum_core::run::Run;
use fulcrum_core::task::Lease;

use crate::engine::item::Item;

/// Mail that can never be consumed is thrown away. A cancellation that overtook its child's start stays: it is delivered
/// again until the child exists.
pub(super) fn dead_mail(item: &Item, rejection: &Rejection) -> Option<MailId> {
    match &item.command.kind {
        CommandKind::Mail { id, .. }
            if matches!(
                rejection,
                Rejection::RunClosed(_)
                    | Rejection::Stale(_)
                    | Rejection::AlreadyStarted(_)
                    | Rejection::LeaseLost(_)
            ) =>
        {
            Some(*id)
        }
        CommandKind::Mail { .. }
        | CommandKind::Start(_)
        | CommandKind::Report(_)
        | CommandKind::AppendJournal(_)
        | CommandKind::TaskDue(_)
        | CommandKind::TimerFired { .. }
        | CommandKind::Signal { .. }
        | CommandKind::DecideReview(_)
        | CommandKind::Cancel { .. } => None,
    }
}

/// Where a command's run belongs, and by which definition it goes.
pub(super) struct Subject {
    pub(super) namespace: NamespaceId,
    pub(super) definition: DefinitionHash,
}

/// What a command is decided by; `None` if its run does not exist and it does not start it.
pub(super) fn subject(item: &Item, state: Option<&Run>) -> Option<Subject> {
    if let Some(run) = state {
        return Some(Subject {
            namespace: run.origin.namespace,
            definition: run.origin.definition,
        });
    }
    let start = match &item.command.kind {
        CommandKind::Start(start) => start,
        CommandKind::Mail {
            body: MailBody::Start(start),
            ..
        } => start,
        CommandKind::Mail {
            body: MailBody::JoinProgressed { .. } | MailBody::Cancel { .. } | MailBody::Continue,
            ..
        }
        | CommandKind::Report(_)
        | CommandKind::AppendJournal(_)
        | CommandKind::TaskDue(_)
        | CommandKind::TimerFired { .. }
        | CommandKind::Signal { .. }
        | CommandKind::DecideReview(_)
        | CommandKind::Cancel { .. } => return None,
    };
    Some(Subject {
        namespace: start.namespace,
        definition: start.definition,
    })
}

/// The lease that a command depends on.
pub(super) fn lease_of(kind: &CommandKind) -> Option<Lease> {
    match kind {
        CommandKind::Report(report) => Some(report.lease),
        CommandKind::AppendJournal(append) => Some(append.lease),
        // A task that was never granted has no nonce, and its fence the nil one.
        CommandKind::TaskDue(due) => Some(Lease {
            task: due.seen.task,
            seq: due.seen.lease_seq,
            nonce: due.seen.lease_nonce.unwrap_or_default(),
        }),
        CommandKind::Start(_)
        | CommandKind::TimerFired { .. }
        | CommandKind::Signal { .. }
        | CommandKind::DecideReview(_)
        | CommandKind::Cancel { .. }
        | CommandKind::Mail { .. } => None,
    }
}

/// The task of which a batch decides one command only.
pub(super) fn fenced_task(kind: &CommandKind) -> Option<TaskId> {
    match kind {
        CommandKind::TaskDue(due) => Some(due.seen.task),
        CommandKind::Report(report) => Some(report.lease.task),
        // Appends only add; several of one grant may share a batch.
        CommandKind::AppendJournal(_)
        | CommandKind::Start(_)
        | CommandKind::TimerFired { .. }
        | CommandKind::Signal { .. }
        | CommandKind::DecideReview(_)
        | CommandKind::Cancel { .. }
        | CommandKind::Mail { .. } => None,
    }
}
