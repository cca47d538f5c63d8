"""Letting needs be served: limits, duplicates, and those who wait already."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx, clock
from aidmesh_contracts.days import day_of, days_after
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.limits import (
    Hindrance,
    Objection,
    Past,
    Wish,
    hindrance,
    objection,
    people_of,
)
from aidmesh_intake.domain.need import Decision, Need, State
from aidmesh_intake.domain.waitlist import Queue, ahead_of, place_of, queue_behind
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import persons as persons_store
from aidmesh_intake.store import requests, waitlist

Verdict = Decision | Hindrance


async def decide(
    tx: Tx,
    needs: Sequence[Need],
    kinds: Mapping[str, Kind],
    *,
    unchecked: Collection[UUID] = (),
    overridden: Collection[UUID] = (),
    newcomers: Collection[UUID] = (),
    facts: Sequence[Need] = (),
) -> list[Verdict]:
    """For each need: its approval (or its place on the waitlist), or what speaks against it.

    Args:
        unchecked: needs that were let pass before.
        overridden: needs that a person lets pass whatever limits say.
        newcomers: persons without any history.
        facts: aid that was given before, about to be saved in this transaction too.
    """
    await _lock_households(tx, needs, kinds, newcomers)
    known = await _known(tx.conn, needs, newcomers)
    today = day_of(tx.now)
    asked = [_past(need, known, today) for need in needs]
    past = await _history(tx.conn, asked, kinds, newcomers, today)
    for fact in facts:
        past.add(_past(fact, known, today))
    queues = await queues_of(tx, needs)
    verdicts: list[Verdict] = []
    for need, itself in zip(needs, asked, strict=True):
        found = None
        if need.id not in unchecked:
            found = hindrance(kinds[need.kind], itself, past.of(itself))
        if found is not None and need.id not in overridden:
            verdicts.append(found)
            continue
        behind = queue_behind(need, queues, today) if queues else None
        decision = commands.approve(need, tx.now, behind=behind)
        verdicts.append(replace(decision, despite=found.value) if found else decision)
        past.add(itself)
    return verdicts


async def _lock_households(
    tx: Tx, needs: Sequence[Need], kinds: Mapping[str, Kind], newcomers: Collection[UUID]
) -> None:
    """Two members, or one and the household, must see each other, or both would pass a limit."""
    limited = [need for need in needs if kinds[need.kind].limits]
    households = {need.household_id for need in limited if need.household_id}
    persons = {n.person_id for n in limited if n.person_id and n.person_id not in newcomers}
    if households or persons:
        await household_store.lock(tx.conn, list(households), list(persons))


Known = Mapping[UUID, tuple[UUID, UUID | None]]
"""The record that stands for a person, and their household, by the record that a need names."""


async def _known(
    conn: asyncpg.Connection, needs: Sequence[Need], newcomers: Collection[UUID]
) -> Known:
    persons = {n.person_id for n in needs if n.person_id and n.person_id not in newcomers}
    return await persons_store.known_as(conn, persons) if persons else {}


def _past(need: Need, known: Known, today: date) -> Past:
    """A need as limits see it; a person is named by the record that stands for them.

    Who asked before they belonged to a household is one of it all the same.
    """
    person_id: UUID | None = need.person_id
    home: UUID | None = need.household_id
    if person_id is not None and person_id in known:
        person_id, belongs_to = known[person_id]
        home = home or (belongs_to if need.served_on is None else None)
    return Past(
        need_id=need.id,
        people=people_of(
            person_id,
            home,
            need.members,
            as_one=need.for_whom is ForWhom.HOUSEHOLD,
        ),
        household_id=home,
        kind=need.kind,
        quantity=need.quantity,
        on=need.served_on or need.day_on(today),
        planned_on=need.planned_on,
        open=need.served_on is None,
    )


class _Pasts:
    """Needs by whom they count for and by household, each once."""

    def __init__(self) -> None:
        self._by: dict[UUID, dict[UUID, Past]] = defaultdict(dict)

    def add(self, past: Past) -> None:
        for key in _keys(past):
            self._by[key][past.need_id] = past

    def of(self, wish: Wish) -> Collection[Past]:
        """Everything that may count against a wish."""
        found: dict[UUID, Past] = {}
        for key in _keys(wish):
            found |= self._by.get(key, {})
        return found.values()


def _keys(wish: Wish) -> frozenset[UUID]:
    return wish.people if wish.household_id is None else wish.people | {wish.household_id}


async def _history(
    conn: asyncpg.Connection,
    wishes: Sequence[Wish],
    kinds: Mapping[str, Kind],
    newcomers: Collection[UUID],
    today: date,
) -> _Pasts:
    past = _Pasts()
    persons = {each for wish in wishes for each in wish.people} - set(newcomers)
    households = {wish.household_id for wish in wishes if wish.household_id}
    if not persons and not households:
        return past
    days = max(
        (limit.days for code in {w.kind for w in wishes} for limit in kinds[code].limits),
        default=1,
    )
    for entry in await requests.history(
        conn,
        list(persons),
        list(households),
        days_after(min(min(wish.on, wish.planned_on) for wish in wishes), -days),
        days_after(max(max(wish.on, wish.planned_on) for wish in wishes), days),
        today,
    ):
        past.add(entry)
    return past


async def objection_to(
    conn: asyncpg.Connection, need: Need, kinds: Mapping[str, Kind]
) -> Objection | None:
    """What would speak today against approving a need that waits for a decision, or None."""
    if need.state is not State.REQUESTED or need.attempt_no > 0:
        return None  # whoever was let pass once is not asked again
    today = day_of(await clock(conn))
    itself = _past(need, await _known(conn, [need], ()), today)
    past = await _history(conn, [itself], kinds, (), today)
    return objection(kinds[need.kind], itself, past.of(itself))


async def waiting_ahead(conn: asyncpg.Connection, need: Need) -> int | None:
    """How many are served before a need that waits; None if it does not wait."""
    if need.blocked_by is None:
        return None
    today = day_of(await clock(conn))
    before = await waitlist.queues(conn, [need.blocked_by], today, before=place_of(need))
    return ahead_of(need, before, today)


async def queues_of(
    tx: Tx, needs: Sequence[Need], *, apart_from: UUID | None = None
) -> list[Queue]:
    """Who waits for what these needs want; nobody of them is woken before the transaction ends.

    Args:
        apart_from: a need that does not count, since it is about to leave its place.
    """
    wanted = [blocker for need in needs for blocker in need.blockers]
    today = day_of(tx.now)
    found = await waitlist.queues(tx.conn, wanted, today, apart_from)
    if not found:
        return []
    # Somebody waits: look again when nobody can be woken in between.
    await waitlist.lock_keys(tx.conn, {waitlist.key_of(queue.blocked_by) for queue in found})
    return await waitlist.queues(tx.conn, wanted, today, apart_from)
