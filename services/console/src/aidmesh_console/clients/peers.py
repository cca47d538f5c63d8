"""Other regions as the services of this one see them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from aidmesh_console.clients.link import View


class LinkState(View):
    """Whether a region is heard, and since when; goes with figures that came from there."""

    state: Literal["up", "dark"]
    since: datetime
    gone: Literal["lost", "retired"] | None = None
    gone_since: datetime | None = None


class Peer(View):
    """What one service says of a peer region.

    Attributes:
        trouble: `dark`, `behind` or `unanswered`, when it has lasted for too long.
        lag_events: events of the peer that are not here; None where it does not tell.
        handoffs: of that service, not answered yet.
    """

    link: Literal["up", "dark"]
    since: datetime
    lag_events: int | None = None
    handoffs: int = 0
    trouble: Literal["dark", "behind", "unanswered"] | None = None

    @property
    def state(self) -> str:
        """As `LinkState` calls it."""
        return self.link


class Readiness(View):
    """What a service says of itself."""

    ready: bool
    peers: Mapping[str, Peer] = {}


def together(said: Iterable[Readiness]) -> Mapping[str, Peer]:
    """What all services say of each peer. Pure.

    A service that started a moment ago has heard less than others, so whoever heard the peer
    is believed; a trouble that any of them has is shown; handoffs are added up.
    """
    views: dict[str, list[Peer]] = {}
    for each in said:
        for name, peer in each.peers.items():
            views.setdefault(name, []).append(peer)
    whole: dict[str, Peer] = {}
    for name, peers in sorted(views.items()):
        best = min(peers, key=lambda peer: (peer.link != "up", peer.since))
        troubles = [peer.trouble for peer in peers if peer.trouble is not None]
        whole[name] = best.model_copy(
            update={
                "handoffs": sum(peer.handoffs for peer in peers),
                "trouble": troubles[0] if troubles else None,
            }
        )
    return whole
