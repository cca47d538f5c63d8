"""Every SQL statement of inventory, set-based, by aggregate.

Locks are taken in one order, and within a table by key:

    site → capacity_state → stock_state → reservation → everything else

`capacity_state` and `stock_state` are the mutexes: whoever changes beds, slots or lots holds the
row of that kind of place, or of that item at that site, and reads what it decides on only then.
A refusal therefore has seen every growth that was committed before its `decided_at`.
"""
