#!/usr/bin/env bash
# Installs torch into a virtual environment: the official CPU build where pip finds one (an index or
# a folder that the user's pip knows), else PyPI's build, which brings CUDA. install_torch.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/pip_env.sh
venv=$1

# A dry run takes only the wheel's metadata where the index offers it apart.
wanted=$("$venv/bin/python" -c 'import platform, sys
print("cpu" if sys.version_info[:2] == (3, 11) and platform.machine() == "x86_64" else "pypi")')
if [ "$wanted" = cpu ] && "$venv/bin/python" -m pip install --quiet --dry-run --no-deps \
    'torch==2.13.0+cpu' > /dev/null 2>&1; then
    tools/install.sh "$venv" torch-cpu
else
    echo "diff_planner: no CPU build of torch found by pip; installing PyPI's build, about 3 GB"
    tools/install.sh "$venv" torch-pypi
fi
