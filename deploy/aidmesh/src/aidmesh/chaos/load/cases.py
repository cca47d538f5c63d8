"""What the clients of one region know of together: its places, and the needs they have in hand."""

import random
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from aidmesh.chaos.load.travellers import Travellers

DONE_MAX: Final = 400


@dataclass(slots=True)
class Case:
    """A need that desks of a region know of.

    Attributes:
        busy: somebody is at it; two who are would both be right, and the book could not tell.
        closed: nothing more is done with it.
        approved: whether its payout was; `corrected`: where it goes was put right once.
        person_id: whose it is; empty of those who may be known in two regions.
        chosen: whether it is to be served by rule: "" while nobody said anything.
        reservation: of what was handed over, `lots` it is from, each with its pieces.
    """

    need_id: str
    kind: str
    amount_minor: int = 0
    busy: bool = False
    closed: bool = False
    approved: bool = False
    corrected: bool = False
    issued: bool = False
    referred: bool = False
    agrees: bool = False
    person_id: str = ""
    chosen: str = ""
    reservation: str = ""
    lots: str = ""

    @property
    def can_be_referred(self) -> bool:
        """Whether it may be offered to another region while it waits."""
        return self.kind == "shelter_night" and self.agrees and not self.referred


@dataclass(slots=True)
class Region:
    """What the clients of one region share: its places, and the needs they have in hand.

    Attributes:
        peers: areas of the other regions, by name; `rooms` how often each is asked to help.
        travellers: who may be known in two regions.
        roomy: it has more of everything, so that others can be helped from there.
    """

    name: str
    area: str
    peers: dict[str, str]
    rooms: tuple[int, ...]
    today: date
    travellers: Travellers
    roomy: bool = False
    center: str = ""
    shelter: str = ""
    cases: list[Case] = field(default_factory=list)

    def take(self, rng: random.Random) -> Case | None:
        """A need to do something about."""
        open_cases = [case for case in self.cases[-DONE_MAX:] if not (case.busy or case.closed)]
        return rng.choice(open_cases) if open_cases else None

    def pay_anew(self, need_id: str) -> None:
        """The money of a need was let go: once there is some again, somebody approves it again."""
        for case in self.cases:
            if case.need_id == need_id:
                case.approved = False
