#!/usr/bin/env bash
# Installs lock files into a virtual environment: install.sh VENV LOCK... (names in requirements/).
# --no-deps: a lock file is complete. --no-build-isolation: the few packages that come as source are
# built with the pinned setuptools, not with whatever is newest today.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/pip_env.sh
venv=$1
shift

for name in "$@"; do
    echo "diff_planner: installing requirements/$name.txt into $venv"
    "$venv/bin/python" -m pip install -qq --require-hashes --no-deps --no-build-isolation \
        -r "requirements/$name.txt"
done
