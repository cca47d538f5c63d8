"""Reporting: results by kind, area, month and grant. It decides nothing."""
