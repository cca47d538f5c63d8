"""Load, decide, save, tell: events and commands, whole batches in one transaction."""
