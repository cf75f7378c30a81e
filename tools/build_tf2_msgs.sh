#!/usr/bin/env bash
# Builds tools/tf2_msgs into a virtual environment where no tf2_msgs is: PyPI's wheels lack it.
# build_tf2_msgs.sh VENV. It lands beside the wheels and not in ros2_ws/install, which a user may
# source over a full ROS 2 that has the real one.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(cd "$1" && pwd)
build=$venv/tf2_msgs_build

if [ ! -d "$build" ] && "$venv/bin/python" -c 'import importlib.util, sys
sys.exit(importlib.util.find_spec("tf2_msgs") is None)'; then
    exit 0  # the real one
fi
"$venv/bin/python" tools/relocate_ros_wheels.py
# The wheels install into the environment itself, which is therefore the ament prefix.
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv
rm -rf "$build"
mkdir "$build"
echo "diff_planner: building tf2_msgs (some seconds)"
if ! { cmake -S tools/tf2_msgs -B "$build" -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$venv" \
    -DPython3_EXECUTABLE="$venv/bin/python" \
    && cmake --build "$build" --parallel \
    && cmake --install "$build"; } > "$build/log.txt" 2>&1; then
    cat "$build/log.txt" >&2
    echo "diff_planner: tf2_msgs could not be built; the compiler's words are above." >&2
    exit 1
fi
