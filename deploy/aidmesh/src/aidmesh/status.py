"""How a mesh is, seen from outside: services, what waits, and each region's view of its peers.

Everything is asked at once and within a bound; what does not answer is shown as away, and what
only it knows as unknown. Nothing is changed.
"""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar, cast

import asyncpg
import httpx
import nats.errors

from aidmesh.credentials import seed_file
from aidmesh.meshfile import WITH_DATABASE, MeshFile, NatsEntry, RegionEntry
from aidmesh.topology.api import ApiError, JetStreamApi, Json
from aidmesh.topology.config import READER
from aidmesh.topology.warden import connect_as
from aidmesh.topology.watcher import linked_peers
from aidmesh.words import age, count
from aidmesh_chassis import handoff, inbox, outbox
from aidmesh_contracts.consumers import CONSUMERS

ASK_SECONDS_MAX = 5.0
HOLDS_SOON_S = 300
"""A hold that ends within this is about to expire: minutes are all it has."""
HOLDS_LATE_S = 120
"""A hold that is over for longer and still holds is one that no sweep has seen."""
HOLDS_IN = {"inventory": "reservation", "payments": "commitment"}
T = TypeVar("T")
AWAY = (
    OSError,
    TimeoutError,
    ValueError,
    httpx.HTTPError,
    http.client.HTTPException,
    nats.errors.Error,
    ApiError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service. What could not be asked is None.

    Attributes:
        lacks: names of the checks of `/readyz` that fail.
        missing_keys: those for personal data that it runs without until `aidmesh unlock`.
        unsent: rows of its outbox that NATS did not acknowledge; `unsent_age_s` of the oldest.
        untaken: events in its streams that it has not taken in; `lag` the same by durable.
        dead: letters that wait for a person; `retried` those that are tried again.
        holds: what it has set aside, by minutes, for needs; None too where it sets nothing aside.
    """

    service: str
    state: Literal["ready", "not ready", "away"]
    lacks: tuple[str, ...] = ()
    unsent: int | None = None
    unsent_age_s: float | None = None
    untaken: int | None = None
    dead: int | None = None
    retried: int | None = None
    lag: Mapping[str, int] | None = None
    missing_keys: tuple[str, ...] = ()
    holds: "Holds | None" = None


@dataclass(frozen=True, slots=True)
class Holds:
    """Goods, places or money that are set aside until an instant.

    Attributes:
        held: how many holds there are.
        ending: how many of them end within `HOLDS_SOON_S`, or are over.
        next_ends_s: until the first ends; negative where it is over and still holds. None where
            there is none.
    """

    held: int
    ending: int
    next_ends_s: float | None


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer as one region sees it; fields as in `/readyz`, handoffs of all its services.

    `standing` is `lost` or `retired`, of a peer that is gone.
    """

    peer: str
    link: Literal["up", "dark", "unknown"]
    since: str | None = None
    last_event_seq: int | None = None
    last_event_at: str | None = None
    lag_events: int | None = None
    lag_s: float | None = None
    handoffs: int | None = None
    handoffs_age_s: float | None = None
    trouble: str | None = None
    standing: str | None = None
    standing_since: str | None = None


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """One region; `nats` and `postgres` say whether the servers answer."""

    region: str
    epoch: int
    nats: bool
    postgres: bool
    services: tuple[ServiceStatus, ...]
    peers: tuple[PeerStatus, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """A mesh at one moment. `attention` has a line for each thing that a person should see to,
    `retired` since when regions are there no more."""

    at: str
    regions: tuple[RegionStatus, ...]
    attention: tuple[str, ...] = field(default=())
    retired: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Plain values."""
        return cast("Json", json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a service's database holds that nobody has taken yet."""

    unsent: int
    unsent_age_s: float
    letters: Mapping[str, int]
    handoffs: Sequence[handoff.Waiting]
    holds: Holds | None = None


async def status_of(mesh: MeshFile) -> Status:
    """Ask all regions of a data folder."""
    found = await asyncio.gather(
        *(_region(name, entry, mesh.peers(name)) for name, entry in mesh.regions.items())
    )
    return Status(
        datetime.now(UTC).isoformat(timespec="seconds"),
        tuple(found),
        attention_of(found),
        {name: each.since.isoformat(timespec="seconds") for name, each in mesh.retired.items()},
    )


def attention_of(regions: Sequence[RegionStatus]) -> tuple[str, ...]:
    """What a person should see to. Pure."""
    lines: list[str] = []
    for region in regions:
        name = region.region
        lines += [f"{name}: NATS does not answer"] * (not region.nats)
        lines += [f"{name}: PostgreSQL does not answer"] * (not region.postgres)
        for service in region.services:
            if service.state != "ready":
                why = f" ({', '.join(service.lacks)})" if service.lacks else ""
                lines.append(f"{name}: {service.service} is {service.state}{why}")
            if service.missing_keys:
                keys = ", ".join(service.missing_keys)
                lines.append(f"{name}: {service.service} is locked ({keys}); aidmesh unlock")
            if service.dead:
                lines.append(f"{name}: {service.service} has {count(service.dead, 'dead letter')}")
            ends_s = None if service.holds is None else service.holds.next_ends_s
            if ends_s is not None and ends_s < -HOLDS_LATE_S:
                lines.append(
                    f"{name}: {service.service} has holds that are over for {age(-ends_s)}"
                )
        for peer in region.peers:
            if peer.standing == "lost":
                lines.append(f"{name}: {peer.peer} is held for lost since {peer.standing_since}")
            elif peer.standing is not None:
                continue
            elif peer.trouble is not None:
                lines.append(f"{name}: {peer.peer} is {peer.trouble}")
            elif peer.link == "dark":
                lines.append(f"{name}: {peer.peer} is dark since {peer.since or 'unknown'}")
    return tuple(lines)


async def _region(name: str, entry: RegionEntry, peers: Sequence[str]) -> RegionStatus:
    services = list(entry.services)
    ready, stored, pending, linked = await asyncio.gather(
        _readiness(entry, services),
        asyncio.gather(*(_asked(_stored(entry.admin_dsn(each), each)) for each in WITH_DATABASE)),
        _asked(_untaken(entry)),
        _asked(asyncio.to_thread(_linked, entry.nats)),
    )
    kept = dict(zip(WITH_DATABASE, stored, strict=True))
    return RegionStatus(
        region=name,
        epoch=entry.epoch,
        nats=pending is not None,
        postgres=any(each is not None for each in stored),
        services=tuple(_service(each, ready[each], kept.get(each), pending) for each in services),
        peers=tuple(
            peer_of(peer, list(ready.values()), list(kept.values()), linked) for peer in peers
        ),
    )


def _service(
    name: str, ready: Json | None, stored: _Stored | None, pending: Mapping[str, int] | None
) -> ServiceStatus:
    lag = None
    if pending is not None and name in WITH_DATABASE:
        own = (each.durable for each in CONSUMERS if each.service == name)
        lag = {durable: pending.get(durable, 0) for durable in own}
    checks = cast("Mapping[str, str]", (ready or {}).get("checks") or {})
    letters = {} if stored is None else stored.letters
    return ServiceStatus(
        service=name,
        state="away" if ready is None else "ready" if ready.get("ready") else "not ready",
        lacks=tuple(check for check, outcome in checks.items() if outcome != "ok"),
        unsent=None if stored is None else stored.unsent,
        unsent_age_s=None if stored is None else round(stored.unsent_age_s, 1),
        untaken=None if lag is None else sum(lag.values()),
        dead=None if stored is None else letters.get("dead", 0),
        retried=None if stored is None else letters.get("failing", 0) + letters.get("parked", 0),
        lag=lag,
        missing_keys=tuple(cast("Sequence[str]", (ready or {}).get("missing_keys") or ())),
        holds=None if stored is None else stored.holds,
    )


def peer_of(
    peer: str,
    ready: Sequence[Json | None],
    stored: Sequence[_Stored | None],
    linked: frozenset[str] | None,
) -> PeerStatus:
    """What the services say of a peer; without any of them, whether NATS has a link to it. Pure.

    Args:
        ready: what each service answered to `/readyz`.
        stored: what each database holds for others.
        linked: the peers that NATS has a link to.
    """
    handed = [
        each
        for part in stored
        for each in (() if part is None else part.handoffs)
        if each.region == peer
    ]
    complete = None not in stored
    handoffs = sum(each.rows for each in handed) if complete else None
    handoffs_age_s = (
        round(max((each.age_s for each in handed), default=0.0), 1) if complete else None
    )
    said = [
        view
        for answer in ready
        if answer is not None
        and (view := cast("Mapping[str, Json]", answer.get("peers") or {}).get(peer)) is not None
    ]
    if not said:
        return PeerStatus(
            peer, _link_of(peer, linked), handoffs=handoffs, handoffs_age_s=handoffs_age_s
        )
    # A service that started a moment ago has heard less than the others.
    best = min(said, key=lambda view: (view.get("link") != "up", str(view.get("since"))))
    last = cast("Json", best.get("last_event") or {})
    troubles = [str(view["trouble"]) for view in said if view.get("trouble")]
    return PeerStatus(
        peer=peer,
        link=cast("Literal['up', 'dark']", best["link"]),
        since=cast("str | None", best.get("since")),
        last_event_seq=cast("int | None", last.get("seq")),
        last_event_at=cast("str | None", last.get("at")),
        lag_events=cast("int | None", best.get("lag_events")),
        lag_s=cast("float | None", best.get("lag_s")),
        trouble=troubles[0] if troubles else None,
        standing=cast("str | None", best.get("standing")),
        standing_since=cast("str | None", best.get("standing_since")),
        handoffs=handoffs,
        handoffs_age_s=handoffs_age_s,
    )


def _link_of(peer: str, linked: frozenset[str] | None) -> Literal["up", "dark", "unknown"]:
    if linked is None:
        return "unknown"
    return "up" if peer in linked else "dark"


def _linked(nats: NatsEntry) -> frozenset[str]:
    return linked_peers(*nats.monitor_ports, host=nats.host)


async def _readiness(entry: RegionEntry, services: Sequence[str]) -> dict[str, Json | None]:
    async with httpx.AsyncClient(timeout=ASK_SECONDS_MAX, trust_env=False) as client:

        async def ask(service: str) -> Json:
            answer = await client.get(f"{entry.services[service].url}/readyz")
            return cast("Json", answer.json())

        answers = await asyncio.gather(*(_asked(ask(each)) for each in services))
    return dict(zip(services, answers, strict=True))


async def _stored(dsn: str, service: str) -> _Stored:
    conn = await asyncpg.connect(dsn, timeout=ASK_SECONDS_MAX)
    try:
        waiting = await outbox.backlog(conn)
        return _Stored(
            waiting.rows,
            waiting.age_s,
            await inbox.open_letters(conn),
            await handoff.waiting(conn),
            await _holds(conn, HOLDS_IN[service]) if service in HOLDS_IN else None,
        )
    finally:
        await conn.close()


async def _holds(conn: asyncpg.Connection, table: str) -> Holds:
    (row,) = await conn.fetch(
        f"""
        SELECT count(*) AS held,
               count(*) FILTER (WHERE hold_until < now() + make_interval(secs => $1)) AS ending,
               EXTRACT(EPOCH FROM min(hold_until) - now())::float8 AS next_ends_s
        FROM {table} WHERE state = 'held'
        """,  # noqa: S608 - one of `HOLDS_IN`
        HOLDS_SOON_S,
    )
    ends_s = row["next_ends_s"]
    return Holds(row["held"], row["ending"], None if ends_s is None else round(ends_s, 1))


async def _untaken(entry: RegionEntry) -> dict[str, int]:
    """Events that wait or are not acknowledged, by durable."""
    client = await connect_as(entry.nats.url, seed_file(entry.keys, READER))
    try:
        api = JetStreamApi(client)
        counts: dict[str, int] = {}
        for consumer in CONSUMERS:
            info = await api.consumer_info(consumer.stream.value, consumer.durable) or {}
            counts[consumer.durable] = sum(
                int(str(info.get(each, 0))) for each in ("num_pending", "num_ack_pending")
            )
        return counts
    finally:
        await client.close()


async def _asked(answer: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(2 * ASK_SECONDS_MAX):
            return await answer
    except AWAY:
        return None
