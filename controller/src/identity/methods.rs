//! The table `rpc × role`: which roles may call which method. Default deny: a method that is not here answers nobody.
//!
//! The key is the routed path, the very string the router matches, so that no spelling of a path can reach a handler
//! around the table. A test walks the descriptor set and fails on a method without an entry, and on an entry without a
//! method.

use std::collections::HashMap;

use super::role::Role;

/// How a call behaves, which decides its deadline and its share of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallClass {
    /// Answers at once.
    Unary,
    /// Waits for something to happen; the server ends it.
    LongPoll,
    /// Streams answers.
    Stream,
    /// Is streamed to.
    Upload,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Who may call it. Empty means: served on the enrolment listener, where there are no principals yet.
    pub roles: &'static [Role],
    /// How it behaves.
    pub class: CallClass,
}

use CallClass::{LongPoll, Stream, Unary, Upload};
use Role::{Client, Connector, Controller, Executor, Operator};

const WORKERS: &[Role] = &[Executor, Connector];
const OPERATORS: &[Role] = &[Operator];
/// Those who start and follow runs.
const RUNNERS: &[Role] = &[Operator, Client];
/// Those who have values to give and to get.
const CORRESPONDENTS: &[Role] = &[Executor, Connector, Operator, Client];
const EVERYBODY: &[Role] = &[Executor, Connector, Operator, Client, Controller];
const NEWCOMERS: &[Role] = &[];

const fn row(path: &'static str, roles: &'static [Role], class: CallClass) -> Method {
    Method { path, roles, class }
}

/// Every method that is served.
#[rustfmt::skip]
pub const METHODS: &[Method] = &[
    row("/fulcrum.worker.v1.EnrolmentService/Enrol", NEWCOMERS, Unary),

    row("/fulcrum.worker.v1.WorkerService/Register", WORKERS, Unary),
    row("/fulcrum.worker.v1.WorkerService/LeaseTasks", WORKERS, LongPoll),
    row("/fulcrum.worker.v1.WorkerService/Heartbeat", WORKERS, Unary),
    row("/fulcrum.worker.v1.WorkerService/ReportTasks", WORKERS, Unary),
    row("/fulcrum.worker.v1.WorkerService/AppendJournal", WORKERS, Unary),
    row("/fulcrum.worker.v1.WorkerService/RenewCertificate", EVERYBODY, Unary),

    row("/fulcrum.workflow.v1.DefinitionService/ApplyDefinition", OPERATORS, Unary),
    row("/fulcrum.workflow.v1.DefinitionService/ValidateDefinition", OPERATORS, Unary),
    row("/fulcrum.workflow.v1.DefinitionService/GetDefinition", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.DefinitionService/ListDefinitions", RUNNERS, Unary),

    row("/fulcrum.workflow.v1.RunService/StartRun", RUNNERS, LongPoll),
    row("/fulcrum.workflow.v1.RunService/BatchStartRuns", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.RunService/GetRun", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.RunService/ListRuns", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.RunService/WatchRun", RUNNERS, Stream),
    row("/fulcrum.workflow.v1.RunService/SignalRun", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.RunService/CancelRun", RUNNERS, Unary),

    row("/fulcrum.workflow.v1.TimelineService/ListEvents", RUNNERS, Unary),
    row("/fulcrum.workflow.v1.TimelineService/StreamEvents", RUNNERS, Stream),

    row("/fulcrum.payload.v1.PayloadService/UploadPayload", CORRESPONDENTS, Upload),
    row("/fulcrum.payload.v1.PayloadService/ReadPayload", CORRESPONDENTS, Stream),

    row("/fulcrum.review.v1.ReviewService/ListReviews", OPERATORS, Unary),
    row("/fulcrum.review.v1.ReviewService/GetReview", OPERATORS, Unary),
    row("/fulcrum.review.v1.ReviewService/DecideReview", OPERATORS, Unary),

    row("/fulcrum.admin.v1.NamespaceService/CreateNamespace", OPERATORS, Unary),
    row("/fulcrum.admin.v1.NamespaceService/GetNamespace", OPERATORS, Unary),
    row("/fulcrum.admin.v1.NamespaceService/ListNamespaces", OPERATORS, Unary),
    row("/fulcrum.admin.v1.WorkerAdminService/CreateJoinToken", OPERATORS, Unary),
    row("/fulcrum.admin.v1.WorkerAdminService/ListWorkers", OPERATORS, Unary),
    row("/fulcrum.admin.v1.WorkerAdminService/GetWorker", OPERATORS, Unary),
    row("/fulcrum.admin.v1.WorkerAdminService/RevokeWorker", OPERATORS, Unary),
    row("/fulcrum.admin.v1.CapabilityService/ListCapabilities", OPERATORS, Unary),
    row("/fulcrum.admin.v1.CapabilityService/GetCapability", OPERATORS, Unary),
    row("/fulcrum.admin.v1.IdentityService/WhoAmI", EVERYBODY, Unary),
    row("/fulcrum.admin.v1.InstallationService/ExamineInstallation", OPERATORS, Unary),
    row("/fulcrum.admin.v1.InstallationService/RaiseFeatureLevel", OPERATORS, Unary),

    row("/fulcrum.audit.v1.AuditService/GetSignedHead", EVERYBODY, Unary),
    row("/fulcrum.audit.v1.AuditService/ReadLog", OPERATORS, Stream),
    row("/fulcrum.audit.v1.AuditService/ReadTimelines", OPERATORS, Stream),

    row("/grpc.health.v1.Health/Check", EVERYBODY, Unary),
    row("/grpc.health.v1.Health/Watch", EVERYBODY, Stream),
    row("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", OPERATORS, Stream),
];

/// The table, ready for look-ups.
pub struct MethodTable {
    methods: HashMap<&'static str, Method>,
}

impl MethodTable {
    /// A table of these rows.
    #[must_use]
    pub fn new(methods: &[Method]) -> Self {
        Self {
            methods: methods
                .iter()
                .map(|method| (method.path, *method))
                .collect(),
        }
    }

    /// The row of a routed path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    fn methods_of(descriptors: &[u8]) -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(descriptors).expect("a descriptor set");
        let mut paths = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.insert(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_of_the_contract_has_a_row_and_every_row_a_method() {
        let mut served = methods_of(fulcrum_proto::FILE_DESCRIPTOR_SET);
        served.extend(methods_of(tonic_health::pb::FILE_DESCRIPTOR_SET));
        served.insert("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned());
        let listed: BTreeSet<String> = METHODS
            .iter()
            .map(|method| method.path.to_owned())
            .collect();
        assert_eq!(listed, served);
        assert_eq!(listed.len(), METHODS.len(), "no method has two rows");
    }

    #[test]
    fn newcomers_may_enrol_and_nothing_else() {
        let open: Vec<_> = METHODS
            .iter()
            .filter(|method| method.roles.is_empty())
            .map(|method| method.path)
            .collect();
        assert_eq!(open, ["/fulcrum.worker.v1.EnrolmentService/Enrol"]);
    }

    #[test]
    fn workers_reach_the_worker_plane_only() {
        let allowed = [
            "/fulcrum.worker.v1.",
            // A worker reaches the values that were handed to it, and no others.
            "/fulcrum.payload.v1.",
            "/grpc.health.v1.",
            "/fulcrum.admin.v1.IdentityService/WhoAmI",
            // Workers remember the heads that they have seen.
            "/fulcrum.audit.v1.AuditService/GetSignedHead",
        ];
        for method in METHODS
            .iter()
            .filter(|m| m.roles.iter().any(|role| role.is_worker()))
        {
            assert!(
                allowed.iter().any(|prefix| method.path.starts_with(prefix)),
                "{}",
                method.path
            );
        }
    }

    #[test]
    fn a_path_spelled_otherwise_is_not_in_the_table() {
        let table = MethodTable::new(METHODS);
        assert!(
            table
                .get("/fulcrum.worker.v1.WorkerService/LeaseTasks")
                .is_some()
        );
        for path in [
            "fulcrum.worker.v1.WorkerService/LeaseTasks",
            "/fulcrum.worker.v1.WorkerService/LeaseTasks/",
            "",
        ] {
            assert!(table.get(path).is_none(), "{path}");
        }
    }
}
