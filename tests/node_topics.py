"""What the node publishes by default: absolute topic and message type, without importing ROS."""

from diff_planner.data import encode, encode_status

OUTPUTS = {
    "/planning/trajectory": encode.TRAJECTORY,
    "/planning/candidates": encode.CANDIDATES,
    "/planning/status": encode_status.STATUS,
    "/planning/timing": encode_status.TIMING,
    "/planning/path": "nav_msgs/msg/Path",
    "/planning/markers": "visualization_msgs/msg/MarkerArray",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
