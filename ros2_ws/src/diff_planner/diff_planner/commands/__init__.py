"""What the commands of `diff-planner` do, one file each where it is more than a call."""
