"""Events become facts. Live and in a rebuild they take the same way through `apply`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import asyncpg

from aidmesh_chassis.consuming import Received
from aidmesh_chassis.db import Tx
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import consumers_of
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReversedV1,
    NeedUnlistedV1,
    NeedWaitlistedV1,
    PersonMergedV1,
    PersonUnmergedV1,
)
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from aidmesh_contracts.inventory import AidBookedV1, StaySettledV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_contracts.streams import Stream
from aidmesh_reporting.domain.months import month_of
from aidmesh_reporting.domain.people import regroup
from aidmesh_reporting.store import kept, links, money, months, needs, people, services

KNOWN: dict[str, type[Event]] = {
    event.type: event
    for consumer in consumers_of("reporting")
    if consumer.stream is not Stream.HANDOFF
    for event in consumer.events
}
"""Every fact that reporting takes in, by its type."""

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with what of its envelope results need."""

    event: Event
    event_id: UUID
    occurred_at: datetime
    region: str


async def record(tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Keep a batch of events of one class, and apply it. The handler of every event.

    Raises:
        TimeoutError: a rebuild holds the facts; the batch waits.
    """
    await kept.alone(tx.conn)
    await kept.keep(tx.conn, batch)
    await apply(
        tx.conn,
        [
            Fact(received.event, received.event_id, received.occurred_at, received.region)
            for received in batch
        ],
    )


async def apply(conn: asyncpg.Connection, batch: Sequence[Fact]) -> None:
    """Write what a batch of any events says into the read models.

    Each fact has the same effect whenever it comes, and no more when it comes again.
    """
    dirty: set[str] = set()
    if fulfilled := _of(batch, NeedFulfilledV1):
        await services.add_services(conn, [(fact.event_id, event) for fact, event in fulfilled])
        dirty.update(month_of(event.served_on) for _, event in fulfilled)
    if undone := _of(batch, NeedReversedV1):
        await services.add_reversals(
            conn, [(fact.event_id, fact.occurred_at, event) for fact, event in undone]
        )
        dirty.update(
            await services.months_of_services(
                conn, [(event.need_id, event.service_no) for _, event in undone]
            )
        )
    if stays := _of(batch, StaySettledV1):
        await services.add_stays(
            conn, [(fact.event_id, fact.occurred_at, event) for fact, event in stays]
        )
    if booked := _of(batch, AidBookedV1):
        await services.add_booked(
            conn, [(fact.event_id, fact.occurred_at, event) for fact, event in booked]
        )
    if spends := _of(batch, CommitmentSpentV1):
        await money.add_spends(conn, [(fact.event_id, event) for fact, event in spends])
    if returned := _of(batch, CommitmentReversedV1):
        await money.add_spend_reversals(conn, [(fact.event_id, event) for fact, event in returned])
    touched = [
        *(event.need_id for _, event in stays),
        *(event.need_id for _, event in booked),
        *(event.need_id for _, event in spends),
        *(event.need_id for _, event in returned),
    ]
    if touched:
        dirty.update(await services.months_of_needs(conn, touched))
    merged = [event for _, event in _of(batch, PersonMergedV1)]
    unmerged = [event for _, event in _of(batch, PersonUnmergedV1)]
    if merged or unmerged:
        dirty.update(await _regroup(conn, merged, unmerged))
    linked = [event for _, event in _of(batch, PersonLinkedV1)]
    parted = [event for _, event in _of(batch, PersonPartedV1)]
    if linked or parted:
        dirty.update(await _relink(conn, linked, parted))
    await _look_again(conn, batch)
    if waitlisted := _of(batch, NeedWaitlistedV1):
        await needs.put_waiting(conn, [event for _, event in waitlisted])
    if unlisted := _of(batch, NeedUnlistedV1):
        await needs.put_unlisted(conn, [event for _, event in unlisted])
    if closed := _of(batch, NeedClosedV1):
        await needs.add_closed(conn, [event for _, event in closed])
    if grants := _of(batch, GrantChangedV1):
        await money.put_grants(conn, [(fact.region, event) for fact, event in grants])
    if results := _of(batch, MonthlyResultsV1):
        await months.put_world_months(conn, [(fact.region, event) for fact, event in results])
    if dirty:
        await months.mark_dirty(conn, dirty)


async def _regroup(
    conn: asyncpg.Connection,
    merged: Sequence[PersonMergedV1],
    unmerged: Sequence[PersonUnmergedV1],
) -> list[str]:
    """Join and part records as the merges in force say; returns the months that changed."""
    made, undone = [_edge(event) for event in merged], [_edge(event) for event in unmerged]
    if made:
        await people.add_merges(conn, made)
    if undone:
        await people.undo_merges(conn, undone)
    named = {person for one, other, _ in made + undone for person in (one, other)}
    known = await people.roots_of(conn, list(named))
    pairs = await people.merges_among(conn, list(named | known.keys()))
    joined, parted = regroup(known, pairs)
    if not joined and not parted:
        return []
    await people.put_roots(conn, joined)
    await people.drop_roots(conn, parted)
    return await people.months_of_people(conn, [*joined, *parted])


async def _relink(
    conn: asyncpg.Connection,
    linked: Sequence[PersonLinkedV1],
    parted: Sequence[PersonPartedV1],
) -> list[str]:
    """Begin and end links with other regions; returns the months that changed."""
    if linked:
        await links.add(conn, [(event.link_id, event.person_id, event.region) for event in linked])
    persons = [event.person_id for event in linked]
    if parted:
        persons += [
            PersonId(each) for each in await links.end(conn, [event.link_id for event in parted])
        ]
    records = await people.roots_of(conn, persons)
    return await people.months_of_people(conn, [*persons, *records])


async def _look_again(conn: asyncpg.Connection, batch: Sequence[Fact]) -> None:
    """Have the links of all whom a batch is about looked at again, once it is written."""
    persons: set[UUID] = {
        person for _, event in _of(batch, NeedFulfilledV1) for person in event.person_ids
    }
    if undone := _of(batch, NeedReversedV1):
        persons.update(
            await services.people_of_services(
                conn, [(event.need_id, event.service_no) for _, event in undone]
            )
        )
    # Each part of what falls apart has an end of a merge that was taken back.
    edges = [_edge(event) for _, event in _of(batch, PersonMergedV1)]
    edges += [_edge(event) for _, event in _of(batch, PersonUnmergedV1)]
    persons.update(person for one, other, _ in edges for person in (one, other))
    persons.update(event.person_id for _, event in _of(batch, PersonLinkedV1))
    if persons:
        await links.mark_dirty(conn, persons)


def _edge(event: PersonMergedV1 | PersonUnmergedV1) -> people.Edge:
    return event.person_id, event.into_person_id, event.merge_no


def _of(batch: Sequence[Fact], event_class: type[E]) -> list[tuple[Fact, E]]:
    return [(fact, fact.event) for fact in batch if isinstance(fact.event, event_class)]
