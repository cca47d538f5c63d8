"""Heals sourcing after a link was cut.

When a link comes back the server asks the peer again for its events, but late: the request in
flight waits 30 s and the next ones up to 2 minutes. If the link is up and the source was silent
for some seconds (its idle heartbeats keep it fresh without any event), WORLD is updated without
that source and then with it, which asks at once. A link that the server has given up is dialed
again, see aidmesh.topology.redial.
"""

import asyncio
import http.client
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import nats.errors

from aidmesh.fetching import get_json
from aidmesh.topology.api import ApiError, JetStreamApi, Json, section
from aidmesh.topology.config import HOST, region_of
from aidmesh.topology.plan import peer_of
from aidmesh.topology.redial import Redialer
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_contracts.streams import Stream

log = get_logger()

Monitor = tuple[str, int]
"""Host and port where a server tells of itself."""

LOOK_S = 0.5
SILENT_S_MAX = 4.5
KICK_S_MIN = 4.0
KICK_S_MAX = 30.0
MONITOR_SECONDS_MAX = 2.0

UNREACHABLE = (OSError, ValueError, http.client.HTTPException)
"""What a monitor that does not answer, or not fully, is met with."""


@dataclass(slots=True)
class Kicks:
    """When each source was last asked anew, and how long to wait before the next time."""

    last: dict[str, float] = field(default_factory=dict)
    pause_s: dict[str, float] = field(default_factory=dict)

    def due(self, peer: str, now: float) -> bool:
        """Whether enough time has passed since the last kick."""
        return now - self.last.get(peer, float("-inf")) >= self.pause_s.get(peer, KICK_S_MIN)

    def kicked(self, peer: str, now: float) -> None:
        """Wait longer each time, up to a bound: perhaps the peer has no EVENTS yet."""
        pause_s = self.pause_s.get(peer, KICK_S_MIN / 2)
        self.pause_s[peer] = min(pause_s * 2, KICK_S_MAX)
        self.last[peer] = now

    def healed(self, peer: str) -> None:
        """It delivers again."""
        self.last.pop(peer, None)
        self.pause_s.pop(peer, None)


def stale_peers(
    linked: Collection[str], silent_s: Mapping[str, float | None], kicks: Kicks, now: float
) -> set[str]:
    """Peers whose link is up while their source is silent, and whose turn it is. Pure.

    `silent_s` is the time since each source was last heard, None if never.
    """
    return {
        peer
        for peer, seconds in silent_s.items()
        if peer in linked and (seconds is None or seconds > SILENT_S_MAX) and kicks.due(peer, now)
    }


class LinkWatcher:
    """Watches the links of one region. `linked` and `silent_s` say what it saw last.

    Whoever else changes WORLD holds `world`.
    """

    def __init__(self, api: JetStreamApi, monitors: Mapping[Monitor, Redialer | None]) -> None:
        """`monitors` are those of the region's own servers.

        Without a redialer a server is left to dial as it does.
        """
        self.world = asyncio.Lock()
        self._api = api
        self._monitors = monitors
        self._kicks = Kicks()
        self.linked: frozenset[str] = frozenset()
        self.silent_s: Mapping[str, float | None] = {}
        self.kick_count = 0
        self.look_count = 0

    async def run(self) -> None:
        """Watch until cancelled; while the server is away there is nothing to heal."""
        while goes_on():
            try:
                await self.look()
            except (*UNREACHABLE, nats.errors.Error, ApiError) as error:
                log.debug("link.watch_failed", reason=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> set[str]:
        """Look once, heal what is due; returns whose sources were asked anew."""
        self.look_count += 1
        found = await asyncio.to_thread(links_by_server, tuple(self._monitors))
        linked = frozenset[str]().union(*found.values())
        for peer in sorted(linked ^ self.linked):
            log.warning("link.up" if peer in linked else "link.down", peer=peer)
        self.linked = linked
        for monitor, reached in found.items():
            redialer = self._monitors[monitor]
            if redialer is not None:
                await asyncio.to_thread(redialer.look, reached, time.monotonic())
        async with self.world:
            return await self._heal(linked)

    async def _heal(self, linked: frozenset[str]) -> set[str]:
        info = await self._api.stream_info(Stream.WORLD.value)
        if info is None:
            return set()
        self.silent_s = {
            peer_of(source): _seconds(source.get("active"))
            for source in cast("list[Json]", info.get("sources") or [])
        }
        for peer, seconds in self.silent_s.items():
            if seconds is not None and seconds <= SILENT_S_MAX:
                self._kicks.healed(peer)
        now = time.monotonic()
        stale = stale_peers(linked, self.silent_s, self._kicks, now)
        if stale:
            await self._ask_anew(section(info, "config"), stale)
            self.kick_count += len(stale)
            for peer in stale:
                self._kicks.kicked(peer, now)
                log.info("source.renewed", peer=peer)
        return stale

    async def _ask_anew(self, config: Json, peers: set[str]) -> None:
        sources = cast("list[Json]", config.get("sources") or [])
        kept = [source for source in sources if peer_of(source) not in peers]
        async with self._api.administering() as api:
            await api.update_stream({**config, "sources": kept})
            await api.update_stream({**config, "sources": sources})


def linked_peers(*monitor_ports: int, host: str = HOST) -> frozenset[str]:
    """As `linked_with`, of servers on one machine."""
    return linked_with([(host, port) for port in monitor_ports])


def linked_with(monitors: Sequence[Monitor]) -> frozenset[str]:
    """The peers that any of a region's servers says it has a link to. As `links_by_server`."""
    return frozenset[str]().union(*links_by_server(monitors).values())


def links_by_server(monitors: Sequence[Monitor]) -> dict[Monitor, frozenset[str]]:
    """The peers that each server that answers has a link to; blocking, bounded.

    Raises as `links_of` when none answers.
    """
    found: dict[Monitor, frozenset[str]] = {}
    failed: Exception = ConnectionError("there is no server")
    for host, port in monitors:
        try:
            found[host, port] = frozenset(peer for peer, _ in links_of(port, host)[1])
        except UNREACHABLE as error:
            failed = error
    if not found:
        raise failed
    return found


def links_of(monitor_port: int, host: str = HOST) -> tuple[str, list[tuple[str, int]]]:
    """A server's id, and its links: peer and connection of each; blocking, bounded.

    A peer that is a cluster has a link of each of its servers.

    Raises OSError, http.client.HTTPException or ValueError when it does not say.

    Args:
        monitor_port: its own.
        host: where that is.
    """
    answer = _ask(monitor_port, host, "/leafz")
    leafs = cast("list[Json]", answer.get("leafs") or [])
    links = [(region_of(str(leaf["name"])), int(str(leaf["id"]))) for leaf in leafs]
    return str(answer["server_id"]), links


def clients_of(monitor_port: int, host: str = HOST) -> tuple[str, list[tuple[str, int]]]:
    """A server's id, and its clients: name and connection of each; as `links_of`."""
    answer = _ask(monitor_port, host, "/connz?limit=4096")
    clients = cast("list[Json]", answer.get("connections") or [])
    named = [(str(each.get("name", "")), int(str(each["cid"]))) for each in clients]
    return str(answer["server_id"]), named


def _ask(monitor_port: int, host: str, path: str) -> Json:
    return get_json(f"http://{host}:{monitor_port}{path}", MONITOR_SECONDS_MAX)


def _seconds(active_ns: object) -> float | None:
    if not isinstance(active_ns, int) or active_ns < 0:
        return None
    return active_ns / 1_000_000_000
