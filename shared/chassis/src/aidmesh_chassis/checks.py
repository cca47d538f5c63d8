"""What must hold in a service's database at rest; each service lists its own in `checks.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A statement that must find nothing.

    Attributes:
        name: stable, such as `stock_conserved`.
        promise: what holds when it finds nothing.
        sql: returns one text per violation: ids and figures, never personal data.
    """

    name: str
    promise: str
    sql: str
