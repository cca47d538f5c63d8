"""Has a server dial a peer again that it has given up.

A server redials a lost leaf link every second, but not for ever in every case: after a refusal (a
key that differed for a moment, a loop that it believed to see) it waits for long, and links
have been seen not to come back at all. If the peer's listener greets while the link stays away, the
remote is switched off and on by a reload of the configuration, which disturbs no other link; only
if that has not helped several times is the server restarted.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from aidmesh_chassis.logs import get_logger

log = get_logger()

GIVEN_UP_S: Final = 20.0
"""A link that is away for so long while the peer greets: its server would be there after one."""
PAUSE_S_MAX: Final = 300.0
REDIALS_MAX: Final = 4
RESTART_PAUSE_S: Final = 3600.0
GREETING: Final = b"INFO "
GREETING_S_MAX: Final = 2.0


class Remedy(Enum):
    """What is done about a link that is away."""

    WAIT = auto()
    REDIAL = auto()
    RESTART = auto()


@dataclass(slots=True)
class Absence:
    """A link that is away: since when, how often it was redialed, and when next."""

    next_at: float
    redials: int = 0


def remedy_of(absence: Absence, now: float, restarted_at: float | None) -> Remedy:
    """What is due for a link that is away while its peer greets. Pure.

    Args:
        absence: of that link.
        now: seconds, by the clock of `absence`.
        restarted_at: when the server was last restarted for a link; None if never.
    """
    if now < absence.next_at:
        return Remedy.WAIT
    if absence.redials < REDIALS_MAX:
        return Remedy.REDIAL
    if restarted_at is not None and now - restarted_at < RESTART_PAUSE_S:
        return Remedy.REDIAL
    return Remedy.RESTART


def greets(address: tuple[str, int]) -> bool:
    """Whether a NATS server answers there; blocking, bounded."""
    try:
        with socket.create_connection(address, timeout=GREETING_S_MAX) as connection:
            connection.settimeout(GREETING_S_MAX)
            return connection.recv(len(GREETING)) == GREETING
    except OSError:
        return False


@dataclass(slots=True)
class Redialer:
    """What a region can do for the links that it dials itself. Methods block.

    Args:
        addresses: says hosts and ports of each peer that this region dials now.
        redial: have the server dial this peer anew.
        restart: have the server ended; its supervisor starts it again.
    """

    addresses: Callable[[], Mapping[str, Sequence[tuple[str, int]]]]
    redial: Callable[[str], None]
    restart: Callable[[], None]
    _absent: dict[str, Absence] = field(default_factory=dict, init=False)
    _restarted_at: float | None = field(default=None, init=False)

    def look(self, linked: frozenset[str], now: float) -> Remedy:
        """Do what is due for links that are away; returns the gravest thing that was done.

        Raises OSError or TimeoutError when the server did not do it.
        """
        for peer in linked & self._absent.keys():
            del self._absent[peer]
        done = Remedy.WAIT
        addresses = self.addresses()
        for peer in sorted(addresses.keys() - linked):
            absence = self._absent.setdefault(peer, Absence(now + GIVEN_UP_S))
            remedy = remedy_of(absence, now, self._restarted_at)
            if remedy is Remedy.WAIT:
                continue
            absence.next_at = now + min(GIVEN_UP_S * 2**absence.redials, PAUSE_S_MAX)
            if not any(map(greets, addresses[peer])):
                continue  # the network or the peer is away; dialing goes on and nothing is stuck
            absence.redials += 1
            done = remedy
            if remedy is Remedy.RESTART:
                self._restarted_at = now
                log.error("link.server_restarted", peer=peer, redials=absence.redials - 1)
                self.restart()
                break
            log.warning("link.redialed", peer=peer, redials=absence.redials)
            self.redial(peer)
        return done
