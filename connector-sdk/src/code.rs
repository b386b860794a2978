//! Codes of the failures that the SDK itself reports; adapters add theirs. Retry policies and `catch` clauses
//! match on them, so they are as stable as the API.

/// The input does not fit the capability's input type. Fatal; nothing was sent.
pub const INPUT_INVALID: &str = "INPUT_INVALID";
/// The output or a recorded result is no JSON, or does not fit its type. Fatal.
pub const OUTPUT_INVALID: &str = "OUTPUT_INVALID";
/// A payload is not JSON. Fatal; nothing was sent.
pub const PAYLOAD_INVALID: &str = "PAYLOAD_INVALID";
/// The output, a step's result, or what is handed over to another call is larger than a payload may be. Fatal; the
/// call was made. Return or hand over a reference.
pub const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";
/// The task's input, or something in its journal, could not be read. Transient, or fatal if there is too much of it; nothing
/// was sent.
pub const INPUT_UNREADABLE: &str = "INPUT_UNREADABLE";
/// A payload's encoding is not known to this version. Fatal; nothing was sent.
pub const ENCODING_UNKNOWN: &str = "ENCODING_UNKNOWN";
/// The worker was granted a task of a capability that it does not offer. Recoverable; nothing was sent.
pub const CAPABILITY_NOT_OFFERED: &str = "CAPABILITY_NOT_OFFERED";
/// The capability panicked. Unknown, or transient where doing it twice is harmless; so are the next three.
pub const PANICKED: &str = "PANICKED";
/// The call was dropped because its time was up.
pub const START_TO_CLOSE_TIMEOUT: &str = "START_TO_CLOSE_TIMEOUT";
/// The call was dropped because its step was cancelled and it did not wind up in time.
pub const CANCELLED: &str = "CANCELLED";
/// The call was dropped because its worker had to stop.
pub const WORKER_STOPPED: &str = "WORKER_STOPPED";
/// The controller refused the task's report whatever it came with; the call was made. Fatal, or unknown where the
/// controller failed on it again and again.
pub const REPORT_REFUSED: &str = "REPORT_REFUSED";
/// A journal name was used twice in one task. Fatal.
pub const JOURNAL_NAME_REUSED: &str = "JOURNAL_NAME_REUSED";
/// A journal operation was recorded with another kind or input. Fatal.
pub const JOURNAL_INPUT_CHANGED: &str = "JOURNAL_INPUT_CHANGED";
/// A journal entry from the controller cannot be read. Fatal; nothing was sent.
pub const JOURNAL_DAMAGED: &str = "JOURNAL_DAMAGED";
/// A step was done and its result could not be recorded, for a reason without a name of its own. Unknown.
pub const JOURNAL_REFUSED: &str = "JOURNAL_REFUSED";
/// The operation needs a controller, and the context has none. Fatal; nothing was sent.
pub const DETACHED: &str = "DETACHED";
/// The task ended while a clone of its context still waited. Seen only by that clone.
pub const TASK_ENDED: &str = "TASK_ENDED";
