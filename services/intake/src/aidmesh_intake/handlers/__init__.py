"""Load, decide, save, publish: whole batches in one transaction each."""
