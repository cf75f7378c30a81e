"""diff_planner: a truncated-diffusion planner for vehicles that run ROS 2."""

__version__ = "0.1.0"
