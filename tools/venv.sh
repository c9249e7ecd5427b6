#!/bin/sh
# Make .venv from the lock file. Needs python3 (3.11 or later); installs python3-venv where Debian left it out.
set -eu
cd "$(dirname "$0")/.."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "quorate: python3 is $(python3 --version 2>&1), 3.11 or later is needed" >&2
  exit 5
}
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  echo "quorate: installing the Debian package python3-venv"
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv >/dev/null
fi
echo "quorate: installing $(grep -c '^[a-z].*==' requirements.lock) pinned Python packages into .venv"
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.ready
