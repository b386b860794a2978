//! Random definitions from a tape of random bytes.

use fulcrum_core::definition::model::{OnItemFailure, Step, StepKind};
use fulcrum_core::time::Millis;
use serde_json::json;

use crate::build::*;

/// Random choices, made one after the other; when they run out, every choice is the first.
pub(crate) struct Tape {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
}

impl Tape {
    pub(crate) fn pick(&mut self, of: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % of
    }

    pub(crate) fn left(&self) -> bool {
        self.at < self.bytes.len()
    }
}

/// A random definition. Ids count up, so that every one is unique.
pub(crate) struct Author<'t> {
    pub(crate) tape: &'t mut Tape,
    pub(crate) ids: u32,
    pub(crate) fan_outs: u32,
}

impl Author<'_> {
    pub(crate) fn list(&mut self, depth: u32, least: usize) -> Vec<Step> {
        let count = least + self.tape.pick(3);
        (0..count).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: u32) -> Step {
        self.ids += 1;
        let id = format!("s{}", self.ids);
        let kinds = if depth == 0 { 9 } else { 14 };
        let mut step = match self.tape.pick(kinds) {
            0..=2 => call(&id),
            3 => set(&id, "x", expr("run.id")),
            4 => sleep(&id, "1m"),
            5 => wait(&id, "go"),
            6 => review(&id, literal(json!(self.ids))),
            7 => fail(&id, "ON_PURPOSE"),
            8 => give_back(&id, literal(json!(7))),
            9 => {
                let mut members = self.list(depth - 1, 1);
                if members.len() > 1 && self.tape.pick(2) == 1 {
                    let first = members[0].id.clone();
                    members[1].needs.push(first);
                }
                parallel(&id, members)
            }
            10 => switch(
                &id,
                vec![("has(vars.x) || true", self.list(depth - 1, 0))],
                Vec::new(),
            ),
            11 | 12 => {
                let (body, catch) = (self.list(depth - 1, 1), self.list(depth - 1, 0));
                attempt(&id, body, catch, self.list(depth - 1, 0))
            }
            _ if self.fan_outs < 2 => {
                self.fan_outs += 1;
                let items = ["[]", "[1]", "[1, 2, 3]", "[1, 2, 3, 4, 5]"][self.tape.pick(4)];
                let max_parallel = u32::try_from(self.tape.pick(4)).unwrap();
                let mut each = foreach(&id, items, max_parallel, self.list(depth - 1, 1));
                if let (StepKind::Foreach(foreach), 1) = (&mut each.kind, self.tape.pick(2)) {
                    foreach.on_item_failure = OnItemFailure::Continue;
                }
                each
            }
            _ => call(&id),
        };
        match self.tape.pick(8) {
            0 => step = step.absorbing(),
            1 => step = step.when("false"),
            2 => step = step.within(Millis::from_secs(30)),
            _ => {}
        }
        step
    }
}
