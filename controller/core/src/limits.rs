//! A limit on everything. Each has a name with its unit last, a default, and a typed error that names it.

use serde::{Deserialize, Serialize};

/// The limits of an installation. Field names are the names in configuration, errors and docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest payload accepted, in bytes.
    pub payload_bytes_max: u32,
    /// Largest payload kept beside the small ones, in bytes; what is larger is a blob.
    pub payload_inline_bytes_max: u32,
    /// Largest result of a join that expressions see, in bytes; beyond it the step fails if the definition reads its
    /// output, which is null otherwise.
    pub join_result_bytes_max: u32,
    /// Step instances in one run; fan-out items are runs of their own and do not count.
    pub steps_per_run_max: u32,
    /// Items in one `foreach`.
    pub foreach_items_max: u32,
    /// Depth of child runs under a root.
    pub run_depth_max: u16,
    /// Length of one expression, in bytes.
    pub expression_bytes_max: u32,
    /// Nesting of one expression: brackets in its text, operators and calls in its tree.
    pub expression_depth_max: u32,
    /// Work of one evaluation: one step per node visited, more for long texts.
    pub expression_steps_max: u32,
    /// Length of a definition's source, in bytes.
    pub definition_bytes_max: u32,
    /// Steps written in one definition, nested ones included.
    pub definition_steps_max: u32,
    /// Nesting of blocks in one definition.
    pub definition_depth_max: u32,
    /// Operations in one task's journal.
    pub journal_operations_max: u32,
    /// Open waits (signals, reviews, sleeps) in one run.
    pub open_waits_max: u32,
    /// Unconsumed signals kept by one run.
    pub signals_buffered_max: u32,
    /// Rows in one page of any listing.
    pub page_rows_max: u32,
    /// Tasks in one lease answer.
    pub lease_batch_max: u32,
    /// Children spawned by one commit.
    pub spawn_batch_max: u32,
    /// Leases of one task that may run out: with the last of them it counts as poison and its step fails.
    pub crash_count_max: u16,
    /// Retry attempts a policy may ask for.
    pub retry_attempts_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes_max: 4 * 1024 * 1024,
            payload_inline_bytes_max: 8 * 1024,
            join_result_bytes_max: 1024 * 1024,
            steps_per_run_max: 1_000,
            foreach_items_max: 100_000,
            run_depth_max: 16,
            expression_bytes_max: 4 * 1024,
            expression_depth_max: 64,
            expression_steps_max: 2_000_000,
            definition_bytes_max: 256 * 1024,
            definition_steps_max: 1_000,
            definition_depth_max: 16,
            journal_operations_max: 10_000,
            open_waits_max: 256,
            signals_buffered_max: 1_000,
            page_rows_max: 1_000,
            lease_batch_max: 100,
            spawn_batch_max: 256,
            crash_count_max: 5,
            retry_attempts_max: 1_000,
        }
    }
}
