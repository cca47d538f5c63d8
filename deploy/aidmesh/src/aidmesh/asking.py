"""What `aidmesh status` asks servers, databases and services: within a bound, changing nothing."""

import asyncio
import http
import http.client
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import asyncpg
import nats.errors

from aidmesh.connecting import close_database, connect
from aidmesh.fetching import get, get_json
from aidmesh.meshfile import NatsEntry, RegionEntry
from aidmesh.topology.api import ApiError, JetStreamApi, Json
from aidmesh.topology.rights import READER
from aidmesh.topology.watcher import linked_with
from aidmesh_chassis import handoff, inbox, outbox
from aidmesh_contracts.consumers import CONSUMERS

ASK_SECONDS_MAX = 5.0
HOLDS_SOON_S = 300
"""A hold that ends within this is about to expire: minutes are all it has."""
HOLDS_IN = {"inventory": "reservation", "payments": "commitment"}
T = TypeVar("T")
State = Literal["ready", "not ready", "away"]
AWAY = (
    OSError,
    TimeoutError,
    ValueError,
    http.client.HTTPException,
    nats.errors.Error,
    ApiError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


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
class Stored:
    """What a service's database holds that nobody has taken yet."""

    unsent: int
    unsent_age_s: float
    letters: Mapping[str, int]
    handoffs: Sequence[handoff.Waiting]
    holds: Holds | None = None


def ask_links(nats: NatsEntry) -> frozenset[str]:
    """The peers that any server of a region has a link to. Raises as `AWAY`."""
    return linked_with(nats.monitors)


def ask_server(host: str, port: int) -> State:
    """How one NATS server is: one that catches up with the others answers, and is not ready."""
    try:
        status, _ = get(f"http://{host}:{port}/healthz", ASK_SECONDS_MAX)
    except (OSError, http.client.HTTPException):
        return "away"
    return "ready" if status == http.HTTPStatus.OK else "not ready"


async def ask_readiness(
    entry: RegionEntry, services: Sequence[str]
) -> dict[str, Sequence[Json | None]]:
    """What every copy of every service answers."""
    urls = {each: entry.services[each].urls for each in services}
    loop = asyncio.get_running_loop()
    # A thread for each: one that hangs keeps nobody else waiting.
    threads = ThreadPoolExecutor(1 + sum(map(len, urls.values())))

    async def ask(url: str) -> Json:
        return await loop.run_in_executor(threads, get_json, f"{url}/readyz", ASK_SECONDS_MAX)

    try:
        found = await asyncio.gather(
            *(asyncio.gather(*(asked(ask(url)) for url in urls[each])) for each in services)
        )
    finally:
        threads.shutdown(wait=False)
    return dict(zip(services, found, strict=True))


async def ask_stored(dsn: str, service: str) -> Stored:
    """Ask a service's database. Raises as `AWAY`."""
    conn = await asyncpg.connect(dsn, timeout=ASK_SECONDS_MAX)
    try:
        waiting = await outbox.backlog(conn)
        return Stored(
            waiting.rows,
            waiting.age_s,
            await inbox.open_letters(conn),
            await handoff.waiting(conn),
            await _holds(conn, HOLDS_IN[service]) if service in HOLDS_IN else None,
        )
    finally:
        await close_database(conn)


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


async def ask_untaken(entry: RegionEntry) -> dict[str, int]:
    """Events that wait or are not acknowledged, by durable. Raises as `AWAY`."""
    client = await connect(entry, READER)
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


async def asked(answer: Awaitable[T]) -> T | None:
    """What is answered in time; None for who is away."""
    try:
        async with asyncio.timeout(2 * ASK_SECONDS_MAX):
            return await answer
    except AWAY:
        return None
