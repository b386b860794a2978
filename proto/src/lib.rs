//! Fulcrum's contract: the generated messages, clients and servers of the `.proto` tree beside this crate, by
//! audience. The `.proto` files are the reference; their comments are repeated on the generated items.
//!
//! Wire types stop at the border: a crate converts them into its own types in one place and never passes them
//! on. Durations and times are `google.protobuf` types; ids are TypeIDs; a refused call carries one of
//! [`common::v1::ErrorReason`], which [`reason`] turns into the string of `google.rpc.ErrorInfo` and back.

pub mod handle;
pub mod reason;
pub mod report;

/// What every audience shares: payloads, failures, contracts, error reasons.
pub mod common {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.common.v1");
    }
}

/// What workers speak: enrolment, leases, journals.
pub mod worker {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.worker.v1");
    }
}

/// What everybody speaks about values in pieces: uploads and reads.
pub mod payload {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.payload.v1");
    }
}

/// What operators speak about workflows: definitions, runs, timelines.
pub mod workflow {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.workflow.v1");
    }
}

/// What everybody speaks about the record: signed heads, and the log for who checks it.
pub mod audit {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.audit.v1");
    }
}

/// What operators speak about questions put to them.
pub mod review {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.review.v1");
    }
}

/// What operators speak about the installation: namespaces, workers, capabilities, identities.
pub mod admin {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("fulcrum.admin.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of the whole tree, for reflection and for tests that walk
/// every method.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
