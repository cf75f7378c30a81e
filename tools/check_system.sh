#!/usr/bin/env bash
# Finds a Python 3.11 or 3.12 that runs and prints its path; says what else is missing, one
# sentence per thing, with the Debian package that brings it. Usage: check_system.sh [PYTHON]
set -euo pipefail

missing=0
complain() {
    echo "diff_planner: $1" >&2
    missing=1
}

# A name on the PATH may be a shim that fails, so each candidate has to run.
python=""
for candidate in "${1:-}" python3.12 python3.11 python3; do
    [ -n "$candidate" ] || continue
    if found=$("$candidate" -c 'import sys
print(sys.executable if sys.version_info[:2] in ((3, 11), (3, 12)) else "")' 2> /dev/null) \
        && [ -n "$found" ]; then
        python=$found
        break
    fi
    if [ "$candidate" = "${1:-}" ]; then
        complain "PYTHON=$1 is not a Python 3.11 or 3.12 that runs."
        exit 1
    fi
done

if [ -z "$python" ]; then
    complain "Python 3.11 or 3.12 is needed: apt install python3 (on Debian 12 or Ubuntu 24.04)."
else
    version=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
    "$python" -c 'import ensurepip, venv' 2> /dev/null \
        || complain "$version cannot make virtual environments: apt install $version-venv."
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
        || complain "the headers of $version are needed to build the messages: apt install $version-dev."
fi
command -v g++ > /dev/null || command -v "${CXX:-c++}" > /dev/null \
    || complain "a C++ compiler is needed to build the messages: apt install g++."
command -v gcc > /dev/null || command -v "${CC:-cc}" > /dev/null \
    || complain "a C compiler is needed to build the messages: apt install gcc."
command -v cmake > /dev/null || complain "cmake is needed to build the messages: apt install cmake."
[ "$missing" = 0 ] || exit 1
echo "$python"
