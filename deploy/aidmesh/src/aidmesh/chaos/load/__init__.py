"""What the clients of a run do, through the public API only."""
