"""How other regions stand, and the fence around a lost one.

A region that two leads have declared lost may still act, cut off as it is. What others had taken
in of it by then stays; what comes later is set aside for people (a *conflict*) and has no effect.
Every event carries the epoch of its region: once a lead has let the region in again, from a higher
epoch on, what it says of that epoch counts, and what it had said before never does. What it says of
that epoch may come before the news that it was let in; it is set aside until that comes.

Batches from other regions hold a lock in common; whoever puts up a fence holds it alone, so that
the fence stands before or after a batch, never in its midst.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from aidmesh_chassis import conflicts, handoff
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import REGION_GONE, Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.payments_regions import RegionChangedV1, Standing

if TYPE_CHECKING:
    from aidmesh_chassis.db import Tx

FIRST_EPOCH: Final = 1
GONE: Final = frozenset({"lost", "retired"})
TOLD_AT_ONCE: Final = 500
_FINAL: Final = 2**62


@dataclass(frozen=True, slots=True)
class Stand:
    """How a region stands; see `RegionChangedV1` for what the epoch means."""

    standing: Standing
    epoch: int
    since: datetime

    @property
    def rank(self) -> int:
        """What is said of a region is in this order, in whatever order it comes."""
        if self.standing == "retired":
            return _FINAL
        return 2 * self.epoch + (self.standing == "lost")


@dataclass(frozen=True, slots=True)
class News:
    """What changed in how a region stands."""

    before: Stand | None
    now: Stand

    @property
    def is_gone(self) -> bool:
        """Whether nothing it was asked will be answered."""
        return self.now.standing in GONE

    @property
    def fences(self) -> bool:
        """Whether what it says of some epoch counted until now, and does no more.

        So it is, too, where only its return was heard of, and that it had been lost later or not;
        or where it was lost in an earlier epoch than the one before its return.
        """
        if self.now.standing != "member":
            return self.now.standing == "lost"
        before = self.before
        return before is None or before.standing != "lost" or before.epoch + 1 < self.now.epoch


Follow = Callable[["Tx", Mapping[str, News]], Awaitable[None]]
"""What a service does when other regions' standing has changed."""


def counts(stand: Stand | None, epoch: int) -> bool:
    """Whether what a region says in an epoch has its effect. Pure."""
    if stand is None or stand.standing == "retired":
        return True  # whoever retired had nothing more to say
    return stand.standing == "member" and epoch >= stand.epoch


def may_count(stand: Stand, epoch: int) -> bool:
    """Whether what does not count yet does once it is heard that its region was let in. Pure.

    It may have been let in already, or have been restored, which raises its epoch as well.
    """
    return stand.standing == "lost" and epoch > stand.epoch


async def lock_fence(conn: asyncpg.Connection, *, exclusive: bool) -> None:
    """Wait until no fence is being put up, or, to put one up, until nobody else is at work."""
    lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await conn.execute(f"SELECT {lock}(hashtextextended('standings', 0))")


async def known(conn: asyncpg.Connection) -> dict[str, Stand]:
    """How each region stands of which anything was said."""
    rows = await conn.fetch("SELECT region, standing, epoch, since FROM region_standing")
    return {row["region"]: Stand(row["standing"], row["epoch"], row["since"]) for row in rows}


async def gone(conn: asyncpg.Connection) -> set[str]:
    """Regions that answer nothing any more."""
    return {region for region, stand in (await known(conn)).items() if stand.standing in GONE}


async def lost(conn: asyncpg.Connection) -> set[str]:
    """Regions that are held for lost."""
    rows = await conn.fetch("SELECT region FROM region_standing WHERE standing = 'lost'")
    return {row["region"] for row in rows}


async def epoch_of(conn: asyncpg.Connection, region: str) -> int:
    """The highest epoch that was heard of a region."""
    heard = await conn.fetchval("SELECT epoch FROM region_epoch WHERE region = $1", region)
    return heard or FIRST_EPOCH


async def raise_epochs(conn: asyncpg.Connection, heard: Mapping[str, int]) -> list[str]:
    """Keep the highest epoch that was heard of each region, the own one among them.

    Returns:
        the regions whose epoch was lower, or not known, before.
    """
    later = {region: epoch for region, epoch in heard.items() if epoch > FIRST_EPOCH}
    if not later:
        return []
    rows = await conn.fetch(
        """
        INSERT INTO region_epoch AS known
        SELECT * FROM unnest($1::text[], $2::int[]) AS n (region, epoch) ORDER BY region
        ON CONFLICT (region) DO UPDATE SET epoch = excluded.epoch
        WHERE known.epoch < excluded.epoch
        RETURNING region
        """,
        list(later),
        list(later.values()),
    )
    return [row["region"] for row in rows]


async def check(conn: asyncpg.Connection, region: str) -> None:
    """Refuse to begin anything with a region that is gone.

    Raises:
        Problem: it was declared lost, or has retired.
    """
    stand = (await known(conn)).get(region)
    if stand is not None and stand.standing in GONE:
        raise Problem(REGION_GONE, region=region)


async def set_aside(
    conn: asyncpg.Connection,
    durable: str,
    batch: Sequence[Received[Event]],
    *,
    comes_again: bool = False,
) -> set[UUID]:
    """Note epochs, and keep as conflicts what does not count; returns those events' ids.

    Args:
        durable: through which they came.
        batch: events of other regions that were not taken in before.
        comes_again: whether they come until they are answered; else the content of what may count
            yet is kept with its conflict.
    """
    newest: dict[str, int] = {}
    for item in batch:
        newest[item.region] = max(item.epoch, newest.get(item.region, FIRST_EPOCH))
    if raised := await raise_epochs(conn, newest):
        # It may have been restored, and know nothing of what it had answered since.
        await handoff.again(conn, raised)
    stands = await known(conn)
    if not stands.keys() & newest.keys():
        return set()
    born: datetime = await conn.fetchval("SELECT min(at) FROM service_born")
    late = [
        item
        for item in batch
        if (stand := stands.get(item.region)) is not None
        and not counts(stand, item.epoch)
        # Decided before this service was made: what had happened by then is history to it.
        and not (stand.since < born and item.occurred_at <= stand.since)
    ]
    yet = {item.event_id for item in late if may_count(stands[item.region], item.epoch)}
    await conflicts.leave_to_people(conn, durable, late, yet, comes_again=comes_again)
    return {item.event_id for item in late}


async def take_up(conn: asyncpg.Connection, batch: Sequence[Received[Event]]) -> set[UUID]:
    """Which of these were set aside before it was heard that they count: conflicts no more.

    So it is where a region that has rejoined is heard before those who let it in. What does not
    come again by itself is taken up by `take_in`.

    Args:
        batch: events of other regions that come once more.
    """
    stands = await known(conn)
    return await conflicts.end(
        conn,
        [
            item.event_id
            for item in batch
            if (stand := stands.get(item.region)) is not None
            and stand.standing == "member"
            and counts(stand, item.epoch)
        ],
    )


async def take_in(
    tx: "Tx", said: Mapping[str, tuple[Stand, str]], follow: Follow
) -> dict[str, News]:
    """Keep what is newer than what was known, and end what waits for regions that are gone.

    What was set aside of a region before it was heard that it counts is handled after that.

    Args:
        said: by region, how it stands and who says so.
        follow: called with what is new of other regions.

    Returns:
        what is new.
    """
    await lock_fence(tx.conn, exclusive=True)
    before = await known(tx.conn)
    news = {
        region: News(before.get(region), stand)
        for region, (stand, _) in sorted(said.items())
        if region not in before or stand.rank > before[region].rank
    }
    await tx.conn.execute(
        """
        INSERT INTO region_standing (region, standing, epoch, since, told_by)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[])
        ON CONFLICT (region) DO UPDATE SET standing = excluded.standing, epoch = excluded.epoch,
            since = excluded.since, told_by = excluded.told_by
        """,
        list(news),
        [each.now.standing for each in news.values()],
        [each.now.epoch for each in news.values()],
        [each.now.since for each in news.values()],
        [said[region][1] for region in news],
    )
    others = {region: each for region, each in news.items() if region != tx.origin.region}
    if others:
        await handoff.end(tx.conn, [region for region, each in others.items() if each.is_gone])
        await follow(tx, others)
        await _settle_conflicts(tx.conn, {region: each.now for region, each in others.items()})
    return news


async def _settle_conflicts(conn: asyncpg.Connection, stands: Mapping[str, Stand]) -> None:
    """Have handled what was set aside and counts by now; keep no content of what never will."""
    let_in = {name: each.epoch for name, each in stands.items() if each.standing == "member"}
    lost = {name: each.epoch for name, each in stands.items() if each.standing == "lost"}
    await conflicts.take_up(conn, let_in)
    await conflicts.forget(conn, lost | {name: epoch - 1 for name, epoch in let_in.items()})


async def nothing_follows(_: "Tx", __: Mapping[str, News]) -> None:
    """For a service that has nothing under way with other regions."""


class Follower:
    """The handler of `RegionChangedV1` in one service; `follow` is what else it does."""

    def __init__(self, follow: Follow = nothing_follows) -> None:
        self._follow = follow

    async def __call__(self, tx: "Tx", batch: Sequence[Received[RegionChangedV1]]) -> None:
        """Take in what is said.

        Raises:
            Poison: a region speaks for itself where others have to, or the other way round.
        """
        said: dict[str, tuple[Stand, str]] = {}
        for item in batch:
            event = item.event
            if (event.standing == "retired") != (event.region == item.region):
                raise Poison("not_theirs_to_say")
            stand = Stand(event.standing, event.epoch, event.since)
            if event.region not in said or stand.rank > said[event.region][0].rank:
                said[event.region] = (stand, item.region)
        await take_in(tx, said, self._follow)


async def tell_again(tx: "Tx", but: Collection[str], limit: int = TOLD_AT_ONCE) -> int:
    """Publish anew what this region said before its epoch was raised; a sweep.

    Others set it aside while they held this region for lost. State events are taken by version,
    movements once by their own ids, so it does no harm where it was known. What was handed over to
    one of them, and has no answer, is handed over anew, too.

    Args:
        but: types of events whose effect must not come twice, or that are told otherwise.
        limit: how many events, and how many handoffs, at once, the oldest first.

    Returns:
        how many events and handoffs, each once in an epoch.
    """
    epoch = tx.origin.epoch
    await tx.conn.execute(
        """
        INSERT INTO told_epoch (epoch, told_seq)
        SELECT $1, 0 WHERE EXISTS (SELECT FROM region_standing
                                   WHERE region = $2 AND standing = 'member' AND epoch <= $1)
        ON CONFLICT DO NOTHING
        """,
        epoch,
        tx.origin.region,
    )
    # Numbers of the outbox are not in the order of commits: a transaction that began before it was
    # known here that the epoch is over may yet write something with a lower one.
    told = await tx.conn.fetchrow(
        """
        SELECT told_seq, EXISTS (
            SELECT FROM pg_stat_activity a
            WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
              AND a.xact_start <= t.since) AS is_early
        FROM told_epoch t WHERE epoch = $1
        """,
        epoch,
    )
    if told is None:
        return 0
    # Always: a region that was restored is handed over again what it had answered in any epoch.
    renewed = await handoff.renew(tx.conn, epoch, limit)
    told_seq = told["told_seq"]
    if told_seq is None or told["is_early"]:
        return renewed
    return renewed + await _publish_anew(tx.conn, epoch, but, told_seq, limit)


async def _publish_anew(
    conn: asyncpg.Connection, epoch: int, but: Collection[str], told_seq: int, limit: int
) -> int:
    """Publish what was said in earlier epochs after an event of the outbox; returns how much."""
    [(count, last_seq)] = await conn.fetch(
        """
        WITH earlier AS (
            SELECT gen_random_uuid() AS id, o.seq, o.stream, o.subject, o.headers, o.payload,
                   o.payload_hash
            FROM outbox o
            WHERE o.seq > $4 AND o.stream = 'EVENTS' AND (o.headers ->> 'aid-epoch')::int < $1::int
              AND o.headers ->> 'ce-type' <> ALL($2::text[])
            ORDER BY o.seq LIMIT $3
        ), told AS (
            INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash)
            SELECT id, stream, subject,
                   headers || jsonb_build_object('ce-id', id, 'Nats-Msg-Id', id,
                                                 'aid-epoch', ($1::int)::text),
                   payload, payload_hash
            FROM earlier ORDER BY seq
        )
        SELECT count(*), max(seq) FROM earlier
        """,
        epoch,
        list(but),
        limit,
        told_seq,
    )
    await conn.execute(
        "UPDATE told_epoch SET told_seq = $2 WHERE epoch = $1",
        epoch,
        last_seq if count == limit else None,
    )
    return int(count)
