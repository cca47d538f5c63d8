"""Payments: grants, allotments, commitments, payouts and the ledger."""
