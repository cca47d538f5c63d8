"""What speaks against a need that waits for a decision: which limit, and what was counted."""

from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from aidmesh_intake.domain.kinds import Kind, Limit
from aidmesh_intake.domain.limits import Hindrance, Objection

EARLIER_MAX = 50


class EarlierNeed(BaseModel):
    """A need that counts against another.

    Attributes:
        on: the day it was served on, or is to be served on.
    """

    need_id: UUID
    kind: str
    quantity: int
    on: date
    served: bool


class ObjectionView(BaseModel):
    """What speaks against approving a need, as things stand.

    Attributes:
        limit: the one it would exceed, of the kinds that it names (the need's own where it names
            none), without those that the caller may not see; None for a duplicate.
        earlier: what was counted, the latest first. None where the need exceeds the limit by
            itself.
        hidden: how many more were counted, beyond the first 50. Of sensitive kinds nothing is said
            to whoever may not see them, nor how many there are.
    """

    what: Hindrance
    limit: Limit | None
    earlier: list[EarlierNeed]
    hidden: int


def objection_view(
    found: Objection | None, kinds: Mapping[str, Kind], *, sees_sensitive: bool
) -> ObjectionView | None:
    """An objection as somebody may see it."""
    if found is None:
        return None
    unseen = {code for code, kind in kinds.items() if kind.sensitive and not sees_sensitive}
    earlier = [each for each in found.earlier if each.kind not in unseen]
    shown = earlier[:EARLIER_MAX]
    return ObjectionView(
        what=found.what,
        limit=None if found.limit is None else _without(found.limit, unseen),
        earlier=[
            EarlierNeed(
                need_id=each.need_id,
                kind=each.kind,
                quantity=each.quantity,
                on=each.on,
                served=not each.open,
            )
            for each in shown
        ],
        hidden=len(earlier) - len(shown),
    )


def _without(limit: Limit, unseen: Collection[str]) -> Limit:
    return limit.model_copy(
        update={"kinds": tuple(each for each in limit.kinds if each not in unseen)}
    )
