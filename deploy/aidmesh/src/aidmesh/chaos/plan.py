"""What goes wrong, where and when: a pure function of the seed.

Kinds of faults are dealt like cards from a shuffled deck, so that a short run sees each of them
too. No target is hit again before it was healed and had a moment to itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PACE_S: Final = 2.2
"""Seconds between two faults, on average."""
FIRST_S: Final = 1.0
LAST_S: Final = 2.0
"""The last fault leaves so much time for its work."""
REST_S: Final = 3.0
"""So long a target is left alone after it was healed."""
CRASH_REST_S: Final = 9.0
"""So long nothing else is broken after a crash: there is nothing left to break."""
DECKS_OF_A_CRASH: Final = 4
"""One deck in so many has a crash; it takes away a good part of a deck's time."""
POSTGRES, NATS = "postgres", "nats"


class Kind(StrEnum):
    """What can go wrong."""

    KILL = "kill"
    """SIGKILL; the supervisor starts it again."""
    FREEZE = "freeze"
    """SIGSTOP for a while: connections stay up and nobody answers."""
    EMPTY = "empty"
    """SIGKILL of NATS, which comes back without its JetStream store."""
    CUT = "cut"
    """A leaf link is reset and refuses connections."""
    STALL = "stall"
    """A leaf link swallows what is sent over it; nobody is told."""
    SLOW = "slow"
    """A leaf link is slow."""
    REPEAT = "repeat"
    """Old events are published once more, shuffled, past the server's window for duplicates."""
    DELAY = "delay"
    """Some new events are published later than those that follow them."""
    CRASH = "crash"
    """SIGKILL of the supervisor: all that it runs ends with it, and is started again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at_s: seconds after the load began.
        region: where; `EVERYWHERE` for what hits all regions.
        part: a process, the peer at the other end of a link, or `events`.
        for_s: seconds until it is healed; 0 where it heals by itself.
    """

    no: int
    at_s: float
    kind: Kind
    region: str
    part: str
    for_s: float

    @property
    def target(self) -> tuple[str, ...]:
        """What it hits: no two faults hit the same at the same time."""
        if self.kind in LINKS:
            return tuple(sorted((self.region, self.part)))
        return (self.region, self.part, *((self.kind,) if self.part == EVENTS else ()))

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that feel it, by name; `EVERYWHERE` stands for all."""
        return (self.region, self.part) if self.kind in LINKS else (self.region,)


LINKS: Final = frozenset({Kind.CUT, Kind.STALL, Kind.SLOW})
EVENTS: Final = "events"
EVERYWHERE: Final = "all"
SUPERVISOR: Final = "supervisor"
SERVICE: Final = "service"
_DECK: Final[tuple[tuple[Kind, str], ...]] = (
    (Kind.KILL, SERVICE),
    (Kind.KILL, SERVICE),
    (Kind.KILL, NATS),
    (Kind.KILL, POSTGRES),
    (Kind.FREEZE, SERVICE),
    (Kind.FREEZE, SERVICE),
    (Kind.FREEZE, NATS),
    (Kind.FREEZE, POSTGRES),
    (Kind.EMPTY, NATS),
    (Kind.CUT, "link"),
    (Kind.CUT, "link"),
    (Kind.STALL, "link"),
    (Kind.SLOW, "link"),
    (Kind.REPEAT, EVENTS),
    (Kind.DELAY, EVENTS),
)
_CRASH: Final = (Kind.CRASH, SUPERVISOR)
_AT_ONCE: Final = frozenset({Kind.KILL, Kind.EMPTY, Kind.REPEAT, Kind.CRASH})
_LASTS_S: Final[dict[Kind, tuple[float, float]]] = {
    Kind.FREEZE: (1.0, 15.0),  # some longer than a client waits for a sign of life
    Kind.CUT: (2.0, 40.0),
    Kind.STALL: (2.0, 30.0),
    Kind.SLOW: (3.0, 30.0),
    Kind.DELAY: (3.0, 20.0),
}


def plan_of(
    seed: int, regions: Sequence[str], services: Sequence[str], seconds: float
) -> tuple[Fault, ...]:
    """Draw the faults of a run. Pure.

    Args:
        seconds: for which there is load; everything is healed by then.
    """
    rng = random.Random(seed)  # noqa: S311 - it has to be repeatable
    deck: list[tuple[Kind, str]] = []
    free_at: dict[tuple[str, ...], float] = {}
    faults: list[Fault] = []
    decks = 0
    at_s = FIRST_S
    while at_s < seconds - LAST_S:
        if not deck:
            deck = [*_DECK, *([_CRASH] if decks % DECKS_OF_A_CRASH == 0 else [])]
            rng.shuffle(deck)
            decks += 1
        kind, what = deck.pop()
        fault = _draw(rng, len(faults) + 1, at_s, kind, what, regions, services, seconds)
        if free_at.get(fault.target, 0.0) <= at_s:
            free_at[fault.target] = at_s + fault.for_s + REST_S
            faults.append(fault)
        else:
            deck.insert(0, (kind, what))
        if kind is Kind.CRASH:
            at_s += CRASH_REST_S
        at_s = round(at_s + rng.uniform(0.5, 1.5) * PACE_S, 2)
    return tuple(faults)


def _draw(
    rng: random.Random,
    no: int,
    at_s: float,
    kind: Kind,
    what: str,
    regions: Sequence[str],
    services: Sequence[str],
    seconds: float,
) -> Fault:
    region = EVERYWHERE if kind is Kind.CRASH else rng.choice(regions)
    part = what
    if what == SERVICE:
        part = rng.choice(services)
    elif kind in LINKS:
        part = rng.choice([peer for peer in regions if peer != region])
    if kind in _AT_ONCE:
        return Fault(no, at_s, kind, region, part, 0.0)
    shortest, longest = _LASTS_S[kind]
    # A short run should not consist of one long fault.
    wanted = rng.uniform(shortest, max(shortest, min(longest, seconds / 5)))
    return Fault(no, at_s, kind, region, part, round(min(wanted, seconds - at_s), 2))
