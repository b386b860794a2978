//! The kinds of steps, each with its keys and its reader.

use crate::definition::model::StepKind;
use crate::definition::parse::fields::Fields;
use crate::definition::parse::step::Steps;
use crate::definition::parse::{act, block, mark, pause};

/// A kind of step.
pub(super) struct Kind {
    /// The key that makes a step one of this kind.
    pub(super) name: &'static str,
    /// All keys that belong to it beside the common ones.
    pub(super) keys: &'static [&'static str],
    /// Does a step without an id get one?
    pub(super) named_by_us: bool,
    reader: Reader,
}

type Reader = fn(&Steps<'_>, &mut Fields<'_>) -> Option<StepKind>;

impl Kind {
    pub(super) fn read(&self, steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
        (self.reader)(steps, fields)
    }
}

/// Every kind, in the order of the guide.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "call",
        keys: &["call", "with"],
        named_by_us: false,
        reader: act::call,
    },
    Kind {
        name: "review",
        keys: &["review"],
        named_by_us: false,
        reader: act::review,
    },
    Kind {
        name: "sleep",
        keys: &["sleep"],
        named_by_us: false,
        reader: pause::sleep,
    },
    Kind {
        name: "until",
        keys: &["until"],
        named_by_us: false,
        reader: pause::until,
    },
    Kind {
        name: "wait",
        keys: &["wait"],
        named_by_us: false,
        reader: pause::wait,
    },
    Kind {
        name: "parallel",
        keys: &["parallel"],
        named_by_us: false,
        reader: block::parallel,
    },
    Kind {
        name: "foreach",
        keys: &["foreach", "do", "max_parallel", "on_item_failure", "output"],
        named_by_us: false,
        reader: block::foreach,
    },
    Kind {
        name: "switch",
        keys: &["switch"],
        named_by_us: false,
        reader: block::switch,
    },
    Kind {
        name: "try",
        keys: &["try", "catch", "finally"],
        named_by_us: false,
        reader: block::try_catch,
    },
    Kind {
        name: "run",
        keys: &["run", "with"],
        named_by_us: false,
        reader: act::run,
    },
    Kind {
        name: "checkpoint",
        keys: &["checkpoint"],
        named_by_us: false,
        reader: mark::checkpoint,
    },
    Kind {
        name: "set",
        keys: &["set"],
        named_by_us: true,
        reader: mark::set,
    },
    Kind {
        name: "return",
        keys: &["return"],
        named_by_us: true,
        reader: mark::return_value,
    },
    Kind {
        name: "fail",
        keys: &["fail"],
        named_by_us: true,
        reader: mark::fail,
    },
];

/// Does it close the moment it opens?
pub(super) fn is_instant(kind: &StepKind) -> bool {
    match kind {
        StepKind::Checkpoint { .. }
        | StepKind::Set { .. }
        | StepKind::Return { .. }
        | StepKind::Fail { .. } => true,
        StepKind::Call { .. }
        | StepKind::Review(_)
        | StepKind::Sleep { .. }
        | StepKind::Until { .. }
        | StepKind::Wait { .. }
        | StepKind::Parallel { .. }
        | StepKind::Foreach(_)
        | StepKind::Switch { .. }
        | StepKind::Try { .. }
        | StepKind::Run { .. } => false,
    }
}
