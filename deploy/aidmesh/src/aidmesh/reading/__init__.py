"""Reads the services' logs again: from files, from containers, from the journal."""
