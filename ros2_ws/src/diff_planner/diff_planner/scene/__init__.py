"""One planning moment with its future: what metrics, simulator and RL read."""
