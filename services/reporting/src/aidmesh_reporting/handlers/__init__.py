"""Load, decide, save, tell: whole batches in one transaction."""
