#!/usr/bin/env bash
# Builds diff_planner_msgs with colcon and the ROS wheels of a virtual environment:
# build_messages.sh VENV. The result lies in ros2_ws/{build,install,log}.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(cd "$1" && pwd)

"$venv/bin/python" tools/relocate_ros_wheels.py
# The wheels install into the environment itself, which is therefore the ament prefix.
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv
cd ros2_ws
# CMake keeps the paths of an earlier environment or place; those would win over the new ones.
rm -rf build/diff_planner_msgs install/diff_planner_msgs
log=log/build_messages.txt
mkdir -p log
echo "diff_planner: building diff_planner_msgs (about half a minute)"
if ! "$venv/bin/colcon" build --base-paths src --packages-select diff_planner_msgs \
    --event-handlers console_direct+ --cmake-args -DBUILD_TESTING=OFF \
    "-DPython3_EXECUTABLE=$venv/bin/python" > "$log" 2>&1; then
    cat "$log" >&2
    echo "diff_planner: diff_planner_msgs could not be built; the compiler's words are above." >&2
    exit 1
fi
