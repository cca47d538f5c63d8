"""A naive model of results, and random histories of events to compare with."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import CommitmentId, GrantId, NeedId, PersonId, ReservationId
from aidmesh_contracts.intake import (
    NeedFulfilledV1,
    NeedReversedV1,
    PersonMergedV1,
    PersonUnmergedV1,
)
from aidmesh_contracts.inventory import AidBookedV1, StaySettledV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1
from aidmesh_contracts.values import GrantShare
from aidmesh_reporting.domain.results import Cell, Dimension, Line

E = TypeVar("E", bound=Event)
START = datetime(2024, 1, 1, tzinfo=UTC)
GRANTS = [GrantId(UUID(int=900 + number)) for number in range(3)]
AREAS = ["UA80", "UA46", "UA51"]
PEOPLE = [PersonId(UUID(int=100 + number)) for number in range(12)]
FROM, TO = date(2024, 1, 1), date(2024, 4, 30)


def received(event: E, number: int, region: str = "kyiv") -> Received[E]:
    """An event as it comes in; the same number is the same message."""
    return Received(
        event=event,
        event_id=UUID(int=10_000 + number),
        correlation_id=UUID(int=10_000 + number),
        occurred_at=START + timedelta(seconds=number),
        region=region,
        epoch=1,
        version=None,
        content_hash=b"",
    )


def history(chance: random.Random, needs: int) -> list[Event]:
    """What may have happened to some needs, and which people turned out to be the same."""
    events: list[Event] = []
    for number in range(needs):
        need_id = NeedId(UUID(int=1000 + number))
        if chance.random() < 0.25:
            events += _entered_as_given(chance, need_id)
            continue
        service = _service(chance, need_id, 1, (1, 1))
        events += [service, *_settled(chance, service)]
        # Undone, and perhaps given again: from the same hold or in another attempt.
        if chance.random() < 0.4:
            events.append(
                NeedReversedV1(need_id=need_id, service_no=1, reason="entered_by_mistake")
            )
            if chance.random() < 0.6:
                service = _service(chance, need_id, 2, chance.choice([(1, 2), (2, 1)]))
                events += [service, *_settled(chance, service)]
        if chance.random() < 0.5:
            events += _spent(chance, need_id, number, service.served_on)
    for _ in range(chance.randint(0, 4)):
        one, other = chance.sample(PEOPLE, 2)
        merge_no = chance.randint(1, 2)
        merged = PersonMergedV1(person_id=one, into_person_id=other, merge_no=merge_no)
        events.append(merged)
        if chance.random() < 0.4:
            events.append(PersonUnmergedV1(**merged.model_dump()))
    return events


def _entered_as_given(chance: random.Random, need_id: NeedId) -> list[Event]:
    """Aid that was entered after it was given, and perhaps by mistake."""
    service = _service(chance, need_id, 1, (0, 0)).model_copy(update={"shares": ()})
    events: list[Event] = [service, *_settled(chance, service)]
    if chance.random() < 0.8:
        # No site may be known for it, and no grant may have borne it.
        area = chance.choice([*AREAS, None])
        events.append(AidBookedV1(need_id=need_id, area=area, shares=_shares(chance)))
    if chance.random() < 0.3:
        events.append(NeedReversedV1(need_id=need_id, service_no=1, reason="entered_by_mistake"))
    return events


def _settled(chance: random.Random, service: NeedFulfilledV1) -> list[Event]:
    """Perhaps the nights of a stay, and what grants bore of them."""
    if service.unit != "night" or chance.random() < 0.3:
        return []
    assert service.attempt_no is not None
    return [
        StaySettledV1(
            reservation_id=ReservationId(
                UUID(int=(service.need_id.int << 8) + 5_000_000 + service.attempt_no)
            ),
            need_id=service.need_id,
            attempt_no=service.attempt_no,
            issue_no=service.issue_no,
            nights=chance.randint(0, 9),
            from_on=service.served_on,
            to_on=service.served_on,
            shares=None if chance.random() < 0.3 else _shares(chance),
        )
    ]


def _shares(chance: random.Random) -> tuple[GrantShare, ...]:
    return tuple(
        GrantShare(
            grant_id=chance.choice([*GRANTS, None]),
            amount_minor=chance.randint(1, 500),
            currency=chance.choice(["UAH", "EUR"]),
        )
        for _ in range(chance.randint(0, 3))
    )


def _service(
    chance: random.Random, need_id: NeedId, service_no: int, issue: tuple[int, int]
) -> NeedFulfilledV1:
    people = tuple(chance.sample(PEOPLE, chance.randint(0, 3)))
    unit = chance.choice(["piece", "night", "minute"])
    return NeedFulfilledV1(
        need_id=need_id,
        service_no=service_no,
        attempt_no=issue[0],
        issue_no=issue[1],
        kind=chance.choice(["food_parcel", "shelter_night", "counseling"]),
        programme="relief",
        person_ids=people,
        headcount=None if people else chance.randint(1, 30),
        area=chance.choice(AREAS),
        asked_on=FROM,
        served_on=FROM + timedelta(days=chance.randint(0, 120)),
        quantity=chance.randint(1, 5),
        unit=unit,
        shares=_shares(chance),
    )


def _spent(chance: random.Random, need_id: NeedId, number: int, spent_on: date) -> list[Event]:
    commitment_id = CommitmentId(UUID(int=7000 + number))
    fulfils = chance.random() < 0.3
    events: list[Event] = []
    for spend_no in (1, 2):
        events.append(
            CommitmentSpentV1(
                commitment_id=commitment_id,
                need_id=need_id,
                attempt_no=1,
                spend_no=spend_no,
                grant_id=chance.choice(GRANTS),
                amount_minor=chance.randint(1, 900),
                currency="UAH",
                spent_on=spent_on,
                fulfils=fulfils,
            )
        )
        if chance.random() < 0.6:
            break
        events.append(
            CommitmentReversedV1(
                commitment_id=commitment_id,
                need_id=need_id,
                attempt_no=1,
                spend_no=spend_no,
                fulfils=fulfils,
                reason="returned",
            )
        )
    return events


@dataclass
class Tally:
    """What the model counts of one cell."""

    people: set[UUID] = field(default_factory=set)
    line: Line = field(default_factory=Line)


def expected(
    events: Iterable[Event], from_on: date, to_on: date, by: Sequence[Dimension]
) -> dict[Cell, Line]:
    """Results as anybody would count them by hand, from all events at once."""
    events = list(events)
    same = same_people(tuple(events))
    undone = {
        (event.need_id, event.service_no) for event in events if isinstance(event, NeedReversedV1)
    }
    came_back = {
        (event.commitment_id, event.spend_no)
        for event in events
        if isinstance(event, CommitmentReversedV1)
    }
    stays = {
        (event.need_id, event.attempt_no, event.issue_no): event
        for event in events
        if isinstance(event, StaySettledV1)
    }
    booked = {event.need_id: event for event in events if isinstance(event, AidBookedV1)}
    tallies: dict[Cell, Tally] = defaultdict(Tally)
    for event in events:
        if not isinstance(event, NeedFulfilledV1):
            continue
        if (event.need_id, event.service_no) in undone:
            continue
        if not from_on <= event.served_on <= to_on:
            continue
        settled = None
        if event.unit == "night":
            settled = stays.get((event.need_id, event.attempt_no, event.issue_no))
        fact = booked.get(event.need_id, AidBookedV1(need_id=event.need_id))
        shares = event.shares + fact.shares  # a fact tells of none itself
        if settled is not None and settled.shares is not None:
            shares = settled.shares
        paid = [(share.grant_id, share.amount_minor, share.currency) for share in shares] + [
            (spend.grant_id, spend.amount_minor, spend.currency)
            for spend in events
            if isinstance(spend, CommitmentSpentV1)
            and spend.need_id == event.need_id
            and not spend.fulfils
            and (spend.commitment_id, spend.spend_no) not in came_back
        ]
        counted = event.model_copy(update={"area": fact.area or event.area})
        tally = tallies[_cell(counted, _bearer(paid), by)]
        tally.people |= {same.get(person, person) for person in event.person_ids}
        tally.line.services += 1
        tally.line.contacts += event.headcount or 0
        quantity = event.quantity if settled is None else settled.nights
        quantities = tally.line.quantities
        quantities[event.unit] = quantities.get(event.unit, 0) + quantity
        for grant, amount, currency in paid:
            amounts = tallies[_cell(counted, grant, by)].line.amounts
            amounts[currency] = amounts.get(currency, 0) + amount
    for tally in tallies.values():
        tally.line.people = len(tally.people)
    return {cell: tally.line for cell, tally in tallies.items()}


def _bearer(paid: Sequence[tuple[UUID | None, int, str]]) -> UUID | None:
    sums: dict[UUID | None, int] = defaultdict(int)
    for grant, amount, _ in paid:
        sums[grant] += amount
    most = max(sums.values(), default=0)
    candidates = [grant for grant, amount in sums.items() if amount == most]
    named = [grant for grant in candidates if grant is not None]
    return min(named) if named else None


def _cell(event: NeedFulfilledV1, grant: UUID | None, by: Sequence[Dimension]) -> Cell:
    return Cell(
        kind=event.kind if "kind" in by else None,
        area=event.area if "area" in by else None,
        month=event.served_on.strftime("%Y-%m") if "month" in by else None,
        grant=grant if "grant" in by else None,
        unit=event.unit if "unit" in by else None,
    )


def same_people(events: Sequence[Event]) -> dict[UUID, UUID]:
    """Who stands for whom, by the merges in force."""
    label: dict[UUID, UUID] = {person: person for person in PEOPLE}
    undone = {_merge_of(event) for event in events if isinstance(event, PersonUnmergedV1)}
    for event in events:
        if isinstance(event, PersonMergedV1) and _merge_of(event) not in undone:
            gone, kept = label[event.person_id], label[event.into_person_id]
            label = {person: kept if known == gone else known for person, known in label.items()}
    return label


def _merge_of(event: PersonMergedV1 | PersonUnmergedV1) -> tuple[UUID, UUID, int]:
    return event.person_id, event.into_person_id, event.merge_no
