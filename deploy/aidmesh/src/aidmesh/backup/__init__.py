"""Backups of a region: its databases as of one cut, sealed to a key that is kept elsewhere."""
