"""Decisions of inventory: pure functions of what is there, what is wanted and the clock."""
