"""How a mesh is, seen from outside: services, what waits, and each region's view of its peers.

Everything is asked at once and within a bound; what does not answer is shown as away, and what
only it knows as unknown. Nothing is changed.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, cast

from aidmesh.asking import (
    Holds,
    State,
    Stored,
    ask_links,
    ask_readiness,
    ask_server,
    ask_stored,
    ask_untaken,
    asked,
)
from aidmesh.meshfile import WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.topology.api import Json
from aidmesh.words import age, count
from aidmesh_contracts.consumers import CONSUMERS

HOLDS_LATE_S = 120
"""A hold that is over for longer and still holds is one that no sweep has seen."""
STATES: tuple[State, ...] = ("ready", "not ready", "away")
"""The best first."""


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """One of the processes that share a service's work; `number` is its `INSTANCE`, from 1 on."""

    number: int
    url: str
    state: State
    lacks: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service. What could not be asked is None.

    Attributes:
        state: of its copy that is best off: while one works, the service does.
        lacks: names of the checks of `/readyz` that fail there.
        missing_keys: those for personal data that a copy runs without until `aidmesh unlock`.
        unsent: rows of its outbox that NATS did not acknowledge; `unsent_age_s` of the oldest.
        untaken: events in its streams that it has not taken in; `lag` the same by durable.
        dead: letters that wait for a person; `retried` those that are tried again.
        holds: what it has set aside, by minutes, for needs; None too where it sets nothing aside.
        copies: each of them; one where it runs once.
    """

    service: str
    state: State
    lacks: tuple[str, ...] = ()
    unsent: int | None = None
    unsent_age_s: float | None = None
    untaken: int | None = None
    dead: int | None = None
    retried: int | None = None
    lag: Mapping[str, int] | None = None
    missing_keys: tuple[str, ...] = ()
    holds: Holds | None = None
    copies: tuple[CopyStatus, ...] = ()

    def apart(self) -> list[tuple[str, "ServiceStatus"]]:
        """What is to be spoken of by itself, and how it is called: the service as a whole, or each
        of its copies when they differ."""
        if len({(each.state, each.lacks, each.missing_keys) for each in self.copies}) <= 1:
            return [(self.service, self)]
        return [
            (
                f"{self.service} (copy {each.number} of {len(self.copies)})",
                replace(
                    self,
                    state=each.state,
                    lacks=each.lacks,
                    missing_keys=each.missing_keys,
                    copies=(each,),
                ),
            )
            for each in self.copies
        ]


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
    """One region; `nats` and `postgres` say whether the servers answer.

    `nats_servers` has each server of a cluster, empty for a single one. `unasked` names the
    services whose database could not be asked, where another one's could.
    """

    region: str
    epoch: int
    nats: bool
    postgres: bool
    services: tuple[ServiceStatus, ...]
    peers: tuple[PeerStatus, ...]
    nats_servers: tuple[State, ...] = ()
    unasked: tuple[str, ...] = ()


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
        lines += [f"{name}: the database of {each} could not be asked" for each in region.unasked]
        lines += [
            f"{name}: NATS server {number} of {len(region.nats_servers)} is {state}"
            for number, state in enumerate(region.nats_servers, start=1)
            if state != "ready" and any(each != "away" for each in region.nats_servers)
        ]
        for service in region.services:
            for called, each in service.apart():
                if each.state != "ready":
                    why = f" ({', '.join(each.lacks)})" if each.lacks else ""
                    lines.append(f"{name}: {called} is {each.state}{why}")
                if each.missing_keys:
                    keys = ", ".join(each.missing_keys)
                    lines.append(f"{name}: {called} is locked ({keys}); aidmesh unlock")
            if service.dead:
                lines.append(f"{name}: {service.service} has {count(service.dead, 'dead letter')}")
            ends_s = None if service.holds is None else service.holds.next_ends_s
            if ends_s is not None and ends_s < -HOLDS_LATE_S:
                lines.append(
                    f"{name}: {service.service} has holds that are over for {age(-ends_s)}"
                )
        for peer in region.peers:
            trouble = trouble_with(peer)
            lines += [] if trouble is None else [f"{name}: {trouble}"]
    return tuple(lines)


def trouble_with(peer: PeerStatus) -> str | None:
    """What a person should know of a peer; None where all is well, or it has retired. Pure."""
    if peer.standing == "lost":
        return f"{peer.peer} is held for lost since {peer.standing_since}"
    if peer.standing is not None:
        return None
    if peer.link == "dark" and peer.trouble in {None, "dark"}:
        return f"{peer.peer} is dark since {peer.since or 'unknown'}"
    return None if peer.trouble is None else f"{peer.peer} is {peer.trouble}"


def said_of(peer: PeerStatus) -> str | None:
    """How a peer is, and the last that came from it; None where nobody knows. Pure."""
    told = trouble_with(peer)
    if told is None and peer.standing is not None:
        told = f"{peer.peer} is {peer.standing} since {peer.standing_since}"
    elif told is None and peer.link == "unknown":
        return None
    elif told is None:
        told = f"{peer.peer} is {peer.link}" + (f" since {peer.since}" if peer.since else "")
    if peer.last_event_seq is None:
        return told
    return f"{told}, last event #{peer.last_event_seq} {peer.last_event_at or ''}".rstrip()


async def peers_of(entry: RegionEntry, peers: Sequence[str]) -> tuple[PeerStatus, ...]:
    """How a region sees its peers; what it holds for them is not looked at."""
    ready, linked = await asyncio.gather(
        ask_readiness(entry, list(entry.services)),
        asked(asyncio.to_thread(ask_links, entry.nats)),
    )
    answers = [each for of_one in ready.values() for each in of_one]
    return tuple(peer_of(peer, answers, (None,), linked) for peer in peers)


async def _region(name: str, entry: RegionEntry, peers: Sequence[str]) -> RegionStatus:
    services = list(entry.services)
    ready, stored, pending, linked, nodes = await asyncio.gather(
        ask_readiness(entry, services),
        asyncio.gather(*(asked(ask_stored(entry.admin_dsn(each), each)) for each in WITH_DATABASE)),
        asked(ask_untaken(entry)),
        asked(asyncio.to_thread(ask_links, entry.nats)),
        asyncio.gather(
            *(asyncio.to_thread(ask_server, host, port) for host, port in entry.nats.monitors)
        ),
    )
    kept = dict(zip(WITH_DATABASE, stored, strict=True))
    answers = [each for of_one in ready.values() for each in of_one]
    return RegionStatus(
        region=name,
        epoch=entry.epoch,
        nats=pending is not None,
        postgres=any(each is not None for each in stored),
        services=tuple(
            _service(each, entry.services[each].urls, ready[each], kept.get(each), pending)
            for each in services
        ),
        peers=tuple(peer_of(peer, answers, list(kept.values()), linked) for peer in peers),
        nats_servers=tuple(nodes) if len(nodes) > 1 else (),
        unasked=unasked_of(kept),
    )


def unasked_of(stored: Mapping[str, Stored | None]) -> tuple[str, ...]:
    """Services whose database said nothing while another one's did. Pure.

    Where none did, PostgreSQL is away as a whole, which is said once.
    """
    silent = tuple(service for service, found in stored.items() if found is None)
    return silent if len(silent) < len(stored) else ()


def _service(
    name: str,
    urls: Sequence[str],
    ready: Sequence[Json | None],
    stored: Stored | None,
    pending: Mapping[str, int] | None,
) -> ServiceStatus:
    lag = None
    if pending is not None and name in WITH_DATABASE:
        own = (each.durable for each in CONSUMERS if each.service == name)
        lag = {durable: pending.get(durable, 0) for durable in own}
    copies = tuple(
        copy_of(number, url, each)
        for number, (url, each) in enumerate(zip(urls, ready, strict=True), start=1)
    )
    best = min(copies, key=lambda each: STATES.index(each.state))
    letters = {} if stored is None else stored.letters
    return ServiceStatus(
        service=name,
        state=best.state,
        lacks=best.lacks,
        unsent=None if stored is None else stored.unsent,
        unsent_age_s=None if stored is None else round(stored.unsent_age_s, 1),
        untaken=None if lag is None else sum(lag.values()),
        dead=None if stored is None else letters.get("dead", 0),
        retried=None if stored is None else letters.get("failing", 0) + letters.get("parked", 0),
        lag=lag,
        missing_keys=tuple(dict.fromkeys(key for each in copies for key in each.missing_keys)),
        holds=None if stored is None else stored.holds,
        copies=copies,
    )


def copy_of(number: int, url: str, ready: Json | None) -> CopyStatus:
    """What a copy answered to `/readyz`; None for one that did not. Pure."""
    if ready is None:
        return CopyStatus(number, url, "away")
    checks = cast("Mapping[str, str]", ready.get("checks") or {})
    return CopyStatus(
        number,
        url,
        "ready" if ready.get("ready") else "not ready",
        tuple(check for check, outcome in checks.items() if outcome != "ok"),
        tuple(cast("Sequence[str]", ready.get("missing_keys") or ())),
    )


def peer_of(
    peer: str,
    ready: Sequence[Json | None],
    stored: Sequence[Stored | None],
    linked: frozenset[str] | None,
) -> PeerStatus:
    """What the services say of a peer; without any of them, whether NATS has a link to it. Pure.

    Args:
        ready: what each copy of each service answered to `/readyz`.
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
