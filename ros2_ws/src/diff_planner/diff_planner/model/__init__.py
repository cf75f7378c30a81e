"""The networks.  Needs torch; knows tensors, not sensors.  Nothing on the vehicle imports it."""
