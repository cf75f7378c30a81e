# Source this to use the ROS wheels and our messages from .venv:  source tools/ros_env.sh
# On a machine with a full ROS 2 source ros2_ws/install/setup.bash instead.
_diff_planner_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export VIRTUAL_ENV=$_diff_planner_root/.venv
export PATH=$VIRTUAL_ENV/bin:$PATH
export AMENT_PREFIX_PATH=$VIRTUAL_ENV CMAKE_PREFIX_PATH=$VIRTUAL_ENV
# colcon's scripts read variables that may be unset.
case $- in *u*) _diff_planner_nounset=1; set +u ;; *) _diff_planner_nounset= ;; esac
source "$_diff_planner_root/ros2_ws/install/local_setup.bash"
[ -z "$_diff_planner_nounset" ] || set -u
unset _diff_planner_root _diff_planner_nounset
