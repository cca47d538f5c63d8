"""Finds and explains what is set up wrong, and work that is stuck: `aidmesh doctor`."""
