"""Restoring a region from a backup: what was told since comes back, what can't be proven waits."""
