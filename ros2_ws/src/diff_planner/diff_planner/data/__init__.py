"""Bags in and out, messages to `PlannerInput`, replay, doctor: all of it without ROS."""
