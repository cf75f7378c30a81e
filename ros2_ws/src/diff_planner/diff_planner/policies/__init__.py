"""Drivers without a network: what a planner's scores are held against."""
