"""The planner as a ROS 2 node: the only files that import rclpy and message packages."""
