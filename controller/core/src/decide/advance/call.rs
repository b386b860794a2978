//! Calls: a task is offered to workers.

use crate::decide::desk::{Desk, Halt};
use crate::definition::model::{Retry, Template, Timeouts};
use crate::definition::plan::Node;
use crate::event::{Activity, Call, StepKey};
use crate::failure::{Failure, code};
use crate::ids::TaskId;
use crate::payload::PayloadRef;
use crate::task::{NewTask, TaskOp};

/// What a call is made with, beyond its input.
pub(super) struct CallTerms {
    pub(super) retry: Retry,
    pub(super) timeouts: Timeouts,
    pub(super) priority: i16,
}

impl Desk<'_> {
    pub(super) fn open_call_step(
        &mut self,
        node: &Node,
        capability: &str,
        with: &Template,
    ) -> Result<(), Halt> {
        let input = self.produce_stored(Some(node.id), with)?;
        let terms = CallTerms {
            retry: node.step.retry.clone().unwrap_or_default(),
            timeouts: node.step.timeout,
            priority: node.step.priority,
        };
        self.open_call(&node.key, capability, input, terms)
    }

    /// Offers a task. The contract in force now is pinned; its start-to-close time holds unless the terms say
    /// otherwise.
    pub(super) fn open_call(
        &mut self,
        key: &StepKey,
        capability: &str,
        input: PayloadRef,
        terms: CallTerms,
    ) -> Result<(), Halt> {
        let contract = self.inputs.contracts.get(capability).cloned();
        let CallTerms {
            retry,
            mut timeouts,
            priority,
        } = terms;
        if let Some(contract) = &contract {
            timeouts.start_to_close = timeouts.start_to_close.or(contract.start_to_close);
            let value = self.value_of(Some(input))?;
            let mismatch = |problem| {
                Failure::fatal(
                    code::INPUT_SCHEMA_MISMATCH,
                    format!("`{capability}`: {problem}"),
                )
            };
            contract.check_input(&value).map_err(mismatch)?;
        }
        let call = Call {
            capability: capability.to_owned(),
            contract: contract.as_ref().map(|contract| contract.hash()),
            input,
            retry,
            timeouts,
            priority,
            repeatable: contract.is_some_and(|contract| contract.repeatable()),
        };
        let task = self.task_of(key, &call);
        self.opened(key, Activity::Call(call));
        self.decision.tasks.push(TaskOp::Create(task));
        Ok(())
    }

    fn task_of(&self, key: &StepKey, call: &Call) -> NewTask {
        let origin = &self.run.origin;
        NewTask {
            task: TaskId::of_step(self.run.id, &key.to_string()),
            run: self.run.id,
            root: origin.root,
            namespace: origin.namespace,
            step: key.clone(),
            capability: call.capability.clone(),
            contract: call.contract,
            input: call.input,
            priority: call.priority,
            ready_at: self.now(),
            attempt: 1,
            schedule_to_start: call.timeouts.schedule_to_start,
            start_to_close: call.timeouts.start_to_close,
            trace: origin.trace,
        }
    }
}
