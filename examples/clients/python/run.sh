#!/usr/bin/env bash
# Runs start_run.py: makes a virtual environment and the stubs first.
#
#   run.sh IDENTITY_DIR ADDRESS WORKFLOW INPUT_JSON
#
# Exits 77 when this machine has no usable Python, so that a test can tell that from a failure.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../../.." && pwd)
work="${CARGO_TARGET_DIR:-$repo/target}/python-client"
venv="$work/venv"

cannot() { echo "python client: $*" >&2; exit 77; }

command -v python3 >/dev/null || cannot "no python3"
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
  cannot "needs Python 3.10 or newer with venv; on Debian and Ubuntu: apt-get install python3-venv"

mkdir -p "$work"
exec 9>"$work/lock"
flock 9
if ! cmp --quiet "$here/requirements.txt" "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2 ||
    cannot "pip could not install $(tr '\n' ' ' <"$here/requirements.txt")"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
flock --unlock 9

stubs=$(mktemp -d)
trap 'rm -rf "$stubs"' EXIT
mapfile -t protos < <(cd "$repo/proto" && find fulcrum -name '*.proto' | sort)
"$venv/bin/python" -m grpc_tools.protoc --proto_path="$repo/proto" \
  --python_out="$stubs" --pyi_out="$stubs" --grpc_python_out="$stubs" "${protos[@]}"

PYTHONPATH="$stubs" "$venv/bin/python" "$here/start_run.py" "$@"
