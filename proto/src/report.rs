//! Where a worker's report holds payloads.

use crate::common::v1::Payload;
use crate::worker::v1::ParkedOperation;
use crate::worker::v1::parked_operation::Operation;
use crate::worker::v1::task_report::Outcome;

impl Outcome {
    /// The payloads that it brings along, each of which may come as a handle. A failure's details are not among them.
    pub fn payloads_mut(&mut self) -> Vec<&mut Payload> {
        match self {
            Outcome::Completed(done) => done.output.iter_mut().collect(),
            Outcome::Parked(parked) => parked
                .operations
                .iter_mut()
                .filter_map(ParkedOperation::payload_mut)
                .collect(),
            Outcome::Failed(_) => Vec::new(),
        }
    }
}

impl ParkedOperation {
    /// The payload that it brings along, if it does.
    pub fn payload(&self) -> Option<&Payload> {
        match self.operation.as_ref()? {
            Operation::Call(call) => call.input.as_ref(),
            Operation::Review(review) => review.show.as_ref(),
            Operation::Sleep(_) | Operation::WaitSignal(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self.operation.as_mut()? {
            Operation::Call(call) => call.input.as_mut(),
            Operation::Review(review) => review.show.as_mut(),
            Operation::Sleep(_) | Operation::WaitSignal(_) => None,
        }
    }
}
