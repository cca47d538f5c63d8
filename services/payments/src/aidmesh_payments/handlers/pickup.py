"""The pick-up clock of cash: when it starts, and what makes it stand still."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts import pickup as shared
from aidmesh_contracts.ids import CommitmentId, derive_id
from aidmesh_contracts.intake import NeedToldV1
from aidmesh_contracts.inventory import AlertChangedV1, SiteChangedV1
from aidmesh_payments.domain.pickup import Clock, Pause, kept_until, told_again
from aidmesh_payments.store import pickup as store
from aidmesh_payments.store.allotments import clock
from aidmesh_payments.store.commitments import Key, Place


async def told(tx: Tx, batch: Sequence[Received[NeedToldV1]]) -> None:
    """Start the pick-up clock of cash, anew for people who are told again.

    The last word to the person counts: a message that came back is followed by another. What runs
    already is only ever extended.
    """
    last: dict[Key, NeedToldV1] = {}
    for item in batch:
        key = (item.event.need_id, item.event.attempt_no)
        if key not in last or item.event.told_at > last[key].told_at:
            last[key] = item.event
    found = await store.lock_told(tx.conn, last)
    running = [each.clock.started_at for each in found if each.clock is not None]
    pauses = await store.pauses_since(tx.conn, min(running)) if running else []
    starts: list[store.Start] = []
    for each in found:
        event = last[each.key]
        clock = Clock(shared.starts_at(event.told_at, tx.now), event.collect_days)
        if each.clock is not None:
            if not each.waits or event.told_at <= each.clock.started_at:
                continue
            here = [pause for pause in pauses if pause.holds_at(each.site_id, each.area)]
            if told_again(each.clock, clock, here, tx.now) is each.clock:
                continue
        until = shared.ends_at(clock.started_at, clock.collect_days) if each.waits else None
        starts.append(store.Start(each.id, clock, until))
    await store.start_clocks(tx.conn, starts)


async def know_sites(tx: Tx, batch: Sequence[Received[SiteChangedV1]]) -> None:
    """Keep a copy of the region's sites, and of when each was closed."""
    newest: dict[UUID, store.SiteRow] = {}
    pauses: list[tuple[UUID, Pause]] = []
    for item in batch:
        event = item.event
        known = newest.get(event.site_id)
        if known is None or known.version < event.version:
            newest[event.site_id] = store.SiteRow(
                event.site_id, event.area, event.status, event.version, item.occurred_at
            )
        if event.closed_at is not None:
            pause = Pause(event.closed_at, event.reopened_at, site_id=event.site_id)
            since = event.closed_at.astimezone(UTC).isoformat()
            pauses.append((derive_id("closing", event.site_id, since), pause))
    await store.put_sites(tx.conn, list(newest.values()))
    await store.put_pauses(tx.conn, pauses)


async def know_alerts(tx: Tx, batch: Sequence[Received[AlertChangedV1]]) -> None:
    """Keep when areas were under alert."""
    await store.put_pauses(
        tx.conn,
        [
            (event.alert_id, Pause(event.began_at, event.ended_at, area=event.area))
            for event in (item.event for item in batch)
        ],
    )


async def uncollected(
    tx: Tx, limit: int
) -> tuple[list[Place], list[tuple[CommitmentId, datetime]]]:
    """Find cash that nobody fetched in the time they had, without locking it.

    Returns:
        that, and until when other cash waits longer, since something stood in the way.
    """
    await _remember_downtime(tx)
    due = await store.due(tx.conn, limit)
    if not due:
        return [], []
    now = await clock(tx.conn)
    pauses = await store.pauses_since(tx.conn, min(each.collect_from for each in due))
    over: list[Place] = []
    later: list[tuple[CommitmentId, datetime]] = []
    for each in due:
        until = kept_until(
            each.collect_from,
            each.collect_days,
            (pause for pause in pauses if pause.holds_at(each.site_id, each.area)),
        )
        if until is None:
            continue  # it began to stand still this very moment
        if until <= now:
            over.append(each.place)
        else:
            later.append((each.place.id, until))
    return over, later


async def _remember_downtime(tx: Tx) -> None:
    """While this service was down nobody could be paid out."""
    seen_at, now = await store.last_seen(tx.conn)
    if shared.downtime(seen_at, now):
        await store.put_pauses(tx.conn, [(uuid4(), Pause(seen_at, now))])
