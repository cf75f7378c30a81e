#!/usr/bin/env bash
# Installs torch into a virtual environment: the official CPU build where pip finds one (an index or
# a folder that the user's pip knows), else PyPI's build, which brings CUDA. install_torch.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

# The hash that is pinned belongs to the wheel for Python 3.11.
has_cpu_build=$("$venv/bin/python" -c 'import platform, sys
print(sys.version_info[:2] == (3, 11) and platform.machine() == "x86_64")')
if [ "$has_cpu_build" = True ]; then
    if words=$(tools/install.sh "$venv" torch-cpu 2>&1); then
        echo "$words"
        exit 0
    fi
    # Anything else, a broken network or a wrong hash, is not answered with another download.
    if ! grep -q 'No matching distribution found for torch' <<< "$words"; then
        echo "$words" >&2
        exit 1
    fi
fi
echo "diff_planner: no CPU build of torch found by pip; installing PyPI's build, about 3 GB"
tools/install.sh "$venv" torch-pypi
