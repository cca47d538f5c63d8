"""Intake: persons, requests, needs, and who is served first."""
