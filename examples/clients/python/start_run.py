"""Starts a run of a workflow and follows it to its result, over mTLS.

usage: start_run.py IDENTITY_DIR ADDRESS WORKFLOW INPUT_JSON
"""

import os
import sys
import uuid
from pathlib import Path

import grpc
from fulcrum.common.v1.payload_pb2 import Payload
from fulcrum.workflow.v1.run_pb2 import RunSpec, RunStatus
from fulcrum.workflow.v1.run_service_pb2 import StartRunRequest, WatchRunRequest
from fulcrum.workflow.v1.run_service_pb2_grpc import RunServiceStub
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

NAMESPACE = os.environ.get("FULCRUM_NAMESPACE", "default")


def connect(identity: Path, address: str) -> grpc.Channel:
    """Who we are is the certificate; whom we trust is the authority that signed the controller's."""
    ca, key, cert = ((identity / name).read_bytes() for name in ("ca.pem", "key.pem", "cert.pem"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, cert))


def follow(runs: RunServiceStub, run_id: str):
    """The closed run. A watch may end early, when a controller drains; it is resumed by version."""
    version = 0
    while True:
        watch = WatchRunRequest(namespace=NAMESPACE, run_id=run_id, after_version=version)
        try:
            for answer in runs.WatchRun(watch, wait_for_ready=True):
                run, version = answer.run, answer.run.version
                print(f"{run_id} {RunStatus.Name(run.status)} {run.waiting_for}".rstrip(), file=sys.stderr)
                if run.HasField("closed_at"):
                    return run
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise


def reason(error: grpc.RpcError) -> str:
    """Why a call was refused: a name a program may branch on (docs/errors), else the gRPC status."""
    status, info = rpc_status.from_call(error), ErrorInfo()
    refused = any(detail.Unpack(info) for detail in status.details) if status else False
    return info.reason if refused else error.code().name


def main(identity: str, address: str, workflow: str, input_json: str) -> int:
    runs = RunServiceStub(connect(Path(identity), address))
    spec = RunSpec(workflow=workflow, input=Payload(encoding="json", data=input_json.encode()))
    request = StartRunRequest(namespace=NAMESPACE, spec=spec, request_id=str(uuid.uuid4()))
    try:
        started = runs.StartRun(request, timeout=30)
        run = follow(runs, started.run.run_id)
    except grpc.RpcError as error:
        print(f"{reason(error)}: {error.details()}", file=sys.stderr)
        return 1
    if run.status != RunStatus.RUN_STATUS_COMPLETED:
        print(f"{run.failure.code}: {run.failure.message}", file=sys.stderr)
        return 1
    print(run.output.data.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]) if len(sys.argv) == 5 else __doc__)
