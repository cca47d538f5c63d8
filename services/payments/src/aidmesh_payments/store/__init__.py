"""Every SQL statement of payments, set-based.

Rows are locked in the order that `handlers.locking` names.
"""
