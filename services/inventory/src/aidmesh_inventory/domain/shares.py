"""What each grant bore of a service."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.values import GrantShare


@dataclass(frozen=True, slots=True)
class Part:
    """Pieces, nights or the like that one grant bought, at a value each in minor units."""

    grant_id: UUID | None
    currency: str
    unit_value_minor: int
    quantity: int


def shares_of(parts: Iterable[Part]) -> tuple[GrantShare, ...]:
    """Sum the value by grant and currency. What has neither grant nor value is left out."""
    total: dict[tuple[UUID | None, str], int] = {}
    for part in parts:
        if part.grant_id is not None or part.unit_value_minor:
            key = (part.grant_id, part.currency)
            total[key] = total.get(key, 0) + part.unit_value_minor * part.quantity
    return tuple(
        GrantShare(
            grant_id=None if grant_id is None else GrantId(grant_id),
            amount_minor=amount_minor,
            currency=currency,
        )
        for (grant_id, currency), amount_minor in sorted(
            total.items(), key=lambda each: (str(each[0][0]), each[0][1])
        )
    )
