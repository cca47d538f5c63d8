"""The arithmetic of results: pure functions."""
