"""What a run was shown on its way: where things stood, and whether grants added up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_OVER: Final[frozenset[str]] = frozenset()
_ENDS_OF_A_MOVE: Final = frozenset({"returned", "declined", "lapsed", "withdrawn"})
LATER: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "ask": {
        "asked": frozenset({"accepted", "refused", "withdrawn"}),
        "accepted": frozenset({"withdrawn"}),
        "refused": frozenset({"withdrawn"}),
        "withdrawn": _OVER,
    },
    "shipment": {
        "preparing": frozenset({"dispatched", "receiving", "received", "cancelled"}),
        "dispatched": frozenset({"receiving", "received"}),
        "receiving": frozenset({"received"}),
        "received": _OVER,
        "cancelled": _OVER,
    },
    "offer": {
        "offered": frozenset({"confirmed", "refused", "lapsed", "withdrawn"}),
        "confirmed": _OVER,
        "refused": _OVER,
        "lapsed": _OVER,
        "withdrawn": _OVER,
    },
    "referral": {
        "offered": frozenset({"taken", "accepted", "confirmed", "refused", "withdrawn"}),
        "taken": frozenset({"accepted", "confirmed", "refused", "withdrawn"}),
        "accepted": frozenset({"confirmed", "refused", "withdrawn"}),
        "confirmed": frozenset({"refused"}),  # it ended here later; a person at the source looks
        "refused": frozenset({"withdrawn"}),  # that of the source may come after
        "withdrawn": _OVER,
    },
    "proposal": {
        "proposed": _ENDS_OF_A_MOVE | {"moved", "kept"},
        "returned": frozenset({"moved", "kept"}),
        "moved": _OVER,
        "kept": _OVER,
        "declined": _OVER,
        "lapsed": _OVER,
        "withdrawn": _OVER,
    },
    "return_ask": {
        "asked": _ENDS_OF_A_MOVE | {"prepared"},
        "prepared": _ENDS_OF_A_MOVE,
        "returned": _OVER,
        "declined": _OVER,
        "lapsed": _OVER,
        "withdrawn": _OVER,
    },
    "order": {
        "received": frozenset({"exported", "settled", "rejected", "returned", "cancelled"}),
        "exported": frozenset({"settled", "rejected", "returned"}),
        "settled": frozenset({"returned"}),
        "rejected": _OVER,
        "returned": _OVER,
        "cancelled": _OVER,
    },
    "need": {"referred": _OVER, "declined": _OVER},
}
"""What may be shown of a thing after what was shown before; states not named bind nothing."""


class Step(NamedTuple):
    """What was shown of a thing after something else was."""

    region: str
    kind: str
    thing: str
    before: str
    after: str

    @property
    def is_back(self) -> bool:
        """Whether it can't have come after that."""
        later = LATER[self.kind].get(self.before)
        return later is not None and self.after not in later


class Unbalanced(NamedTuple):
    """What could not be of a grant (by id) when it was shown."""

    region: str
    grant: str
    what: str


@dataclass(slots=True)
class Sightings:
    """All that was shown; each looker sees one thing after the other.

    Attributes:
        last: where each thing stood last, by region, kind and id.
        steps: where it had stood before, whenever that changed.
        grants: how often one was shown, and `unbalanced` what did not add up.
    """

    last: dict[tuple[str, str, str], str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    grants: int = 0
    unbalanced: list[Unbalanced] = field(default_factory=list)

    def see(self, region: str, kind: str, thing: str, state: str) -> None:
        """Somebody in a region was shown where a thing stands."""
        key = (region, kind, thing)
        before = self.last.get(key)
        if before is not None and before != state:
            self.steps.append(Step(region, kind, thing, before, state))
        self.last[key] = state

    def see_grant(self, region: str, grant: str, faults: Iterable[str]) -> None:
        """Somebody was shown a grant, with which these things are wrong."""
        self.grants += 1
        self.unbalanced += [Unbalanced(region, grant, each) for each in faults]
