"""Clocks that differ: those of servers and peers, compared with this machine's. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aidmesh.doctor.findings import Finding, age
from aidmesh.status import PeerStatus
from aidmesh.topology.api import Json

CLOCK_S_MAX: Final = 2.0
PEER_S_MAX: Final = 60.0
"""What a peer dates is some seconds old when it is heard; it is never ahead."""
COMPARE: Final = "Compare both with a third one (timedatectl); set the wrong one by NTP."


def differing(
    where: str, told: datetime, before: datetime, after: datetime, why: str
) -> list[Finding]:
    """What is said of a server whose clock is not this machine's.

    Args:
        where: region and server.
        told: the time that it told,
        before, after: when it was asked and had answered, by this machine's clock.
        why: what goes by its clock.
    """
    ahead_s, behind_s = (told - after).total_seconds(), (before - told).total_seconds()
    if max(ahead_s, behind_s) <= CLOCK_S_MAX:
        return []
    way = f"{age(ahead_s)} ahead of" if ahead_s > 0 else f"{age(behind_s)} behind"
    return [Finding("warning", where, f"its clock is {way} this machine's", why, COMPARE)]


@dataclass(frozen=True, slots=True)
class Served:
    """What a NATS server said on `/jsz`, and when it was asked and had answered."""

    said: Json
    before: datetime
    after: datetime


def clock_of(where: str, server: Served) -> list[Finding]:
    """What is wrong with a NATS server's clock."""
    told = server.said.get("now")
    if not isinstance(told, str):
        return []
    why = "What streams keep for days, such as messages that wait for a service, is counted by it."
    return differing(where, datetime.fromisoformat(told), server.before, server.after, why)


def ahead_of_us(region: str, peers: Sequence[PeerStatus], now: datetime) -> list[Finding]:
    """What is said of peers that date what they tell ahead of this machine's clock.

    Args:
        region: who hears them.
        peers: as it sees them.
        now: by this machine's clock.
    """
    found = []
    for peer in peers:
        if peer.standing is not None or peer.last_event_at is None:
            continue
        ahead_s = (datetime.fromisoformat(peer.last_event_at) - now).total_seconds()
        if ahead_s > PEER_S_MAX:
            found.append(
                Finding(
                    "warning",
                    f"{region} -> {peer.peer}",
                    f"its last event is dated {age(ahead_s)} ahead of this machine's clock",
                    "One of both clocks is wrong, and with it holds, deadlines and days there or "
                    "here.",
                    COMPARE,
                )
            )
    return found
