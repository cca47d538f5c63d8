"""Who of the other regions is heard: every service sends heartbeats, this keeps the last ones.

A silent peer makes nobody unready, for a region works with every link cut; but it is shown, since
links have been seen not to come back by themselves.
"""

import time
from collections.abc import Callable, Collection

from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import BEAT_SUBJECT

PEERS_MAX = 100
SERVICES = frozenset(consumer.service for consumer in CONSUMERS)


class Peers:
    """The last heartbeat of every peer region, in memory only.

    Args:
        region: the own one, whose heartbeats are no news.
        clock: seconds that never go back.
    """

    def __init__(self, region: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._clock = clock
        self._since = clock()
        self._expected: frozenset[str] = frozenset()
        self._is_told = False
        self._heard: dict[str, dict[str, float]] = {}

    def expect(self, peers: Collection[str]) -> None:
        """These are the regions that the own one is linked with; others are forgotten."""
        self._expected = frozenset(peers)
        self._is_told = True
        for peer in self._heard.keys() - self._expected:
            del self._heard[peer]

    @property
    def regions(self) -> frozenset[str] | None:
        """The own region and all it is linked with, heard or dark; None until that is known."""
        return self._expected | {self._region} if self._is_told else None

    def heard(self, subject: str, payload: bytes) -> None:
        """Take in a heartbeat. What is none is left alone: a peer's word is not trusted."""
        peer = subject.rpartition(".")[2]
        service = payload[:64].decode("ascii", "replace")
        if subject != BEAT_SUBJECT.format(region=peer) or service not in SERVICES:
            return
        if peer != self._region and (peer in self._heard or len(self._heard) < PEERS_MAX):
            self._heard.setdefault(peer, {})[service] = self._clock()

    def ages_s(self) -> dict[str, float]:
        """Seconds since each peer was last heard; for one never heard, since this began."""
        now = self._clock()
        return {
            peer: now - max(self._heard.get(peer, {}).values(), default=self._since)
            for peer in sorted(self._expected | self._heard.keys())
        }

    def report(self) -> dict[str, dict[str, object]]:
        """What `/readyz` shows: by peer, `last_beat_s` (None: never heard) and each service's."""
        now = self._clock()
        return {
            peer: {
                "last_beat_s": round(age_s, 1) if peer in self._heard else None,
                "services": {
                    service: round(now - at, 1)
                    for service, at in sorted(self._heard.get(peer, {}).items())
                },
            }
            for peer, age_s in self.ages_s().items()
        }
