#!/usr/bin/env bash
# run_or_skip.sh COMMAND...: runs it, or says why it cannot be run here.
set -euo pipefail
cd "$(dirname "$0")"
command -v node > /dev/null || { echo "skipped: there is no node; install Node.js 20"; exit 0; }
[ -d node_modules/ts-event-bus ] || { echo "skipped: no ts-event-bus; run npm ci in examples/node_interop"; exit 0; }
exec "$@"
