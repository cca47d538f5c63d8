"""Letting needs be served: limits, duplicates, and those who wait already."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.dates import today_of
from aidmesh_intake.domain.kinds import Kind
from aidmesh_intake.domain.limits import Hindrance, Past, Wish, hindrance
from aidmesh_intake.domain.need import Decision, Need
from aidmesh_intake.domain.waitlist import Queue, queue_behind
from aidmesh_intake.store import persons as persons_store
from aidmesh_intake.store import requests, waitlist

Verdict = Decision | Hindrance


async def decide(
    tx: Tx,
    needs: Sequence[Need],
    kinds: Mapping[str, Kind],
    *,
    unchecked: Collection[UUID] = (),
    newcomers: Collection[UUID] = (),
    facts: Sequence[Need] = (),
) -> list[Verdict]:
    """For each need: its approval (or its place on the waitlist), or what speaks against it.

    Args:
        unchecked: needs that a person lets pass whatever limits say.
        newcomers: persons without any history.
        facts: aid that was given before, about to be saved in this transaction too.
    """
    await _lock_households(tx, needs, kinds)
    roots = await _roots(tx, needs, newcomers)
    past = await _history(tx, needs, kinds, newcomers, roots)
    for fact in facts:
        _remember(past, fact, roots)
    queues = await queues_of(tx, needs)
    verdicts: list[Verdict] = []
    for need in needs:
        person_id = _one(need.person_id, roots)
        wish = Wish(need.id, person_id, need.household_id, need.planned_on)
        found = None
        if need.id not in unchecked:
            found = hindrance(kinds[need.kind], wish, past[person_id or need.household_id])
        if found is not None:
            verdicts.append(found)
            continue
        behind = queue_behind(need, queues, today_of(tx.now)) if queues else None
        verdicts.append(commands.approve(need, tx.now, behind=behind))
        _remember(past, need, roots)
    return verdicts


async def _lock_households(tx: Tx, needs: Sequence[Need], kinds: Mapping[str, Kind]) -> None:
    """Two members who ask at once must see each other, or both would pass a household's limit."""
    limited = {
        need.household_id
        for need in needs
        if need.household_id and any(each.per == "household" for each in kinds[need.kind].limits)
    }
    if limited:
        await persons_store.lock_households(tx.conn, list(limited))


def _one(person_id: UUID | None, roots: Mapping[UUID, UUID]) -> UUID | None:
    """The record that stands for a person, whichever of theirs this is."""
    return None if person_id is None else roots.get(person_id, person_id)


async def _roots(tx: Tx, needs: Sequence[Need], newcomers: Collection[UUID]) -> Mapping[UUID, UUID]:
    known = {n.person_id for n in needs if n.person_id and n.person_id not in newcomers}
    return await persons_store.stands_for(tx.conn, list(known)) if known else {}


def _remember(past: dict[UUID | None, list[Past]], need: Need, roots: Mapping[UUID, UUID]) -> None:
    person_id = _one(need.person_id, roots)
    entry = Past(
        need.id,
        person_id,
        need.household_id,
        need.kind,
        need.served_on or need.planned_on,
        open=need.served_on is None,
    )
    for key in {person_id, need.household_id} - {None}:
        past[key].append(entry)


async def _history(
    tx: Tx,
    needs: Sequence[Need],
    kinds: Mapping[str, Kind],
    newcomers: Collection[UUID],
    roots: Mapping[UUID, UUID],
) -> dict[UUID | None, list[Past]]:
    """By person and by household. A person's list includes their household's."""
    past: dict[UUID | None, list[Past]] = defaultdict(list)
    persons = {
        roots.get(n.person_id, n.person_id)
        for n in needs
        if n.person_id and n.person_id not in newcomers
    }
    households = {n.household_id for n in needs if n.household_id}
    if not persons and not households:
        return past
    days = max(
        (limit.days for code in {n.kind for n in needs} for limit in kinds[code].limits), default=1
    )
    household_of = {
        _one(n.person_id, roots): n.household_id for n in needs if n.person_id and n.household_id
    }
    seen: set[tuple[UUID, UUID]] = set()
    for entry in await requests.history(
        tx.conn,
        list(persons),
        list(households),
        min(n.planned_on for n in needs) - timedelta(days=days),
        max(n.planned_on for n in needs) + timedelta(days=days),
    ):
        keys = {entry.person_id, entry.household_id}
        keys |= {p for p, h in household_of.items() if h == entry.household_id}
        for key in keys - {None}:
            assert key is not None  # noqa: S101 - taken out above
            if (key, entry.need_id) not in seen:
                seen.add((key, entry.need_id))
                past[key].append(entry)
    return past


async def queues_of(
    tx: Tx, needs: Sequence[Need], *, apart_from: UUID | None = None
) -> list[Queue]:
    """Who waits for what these needs want; nobody of them is woken before the transaction ends.

    Args:
        apart_from: a need that does not count, since it is about to leave its place.
    """
    wanted = [blocker for need in needs for blocker in need.blockers]
    today = today_of(tx.now)
    found = await waitlist.queues(tx.conn, wanted, today, apart_from)
    if not found:
        return []
    # Somebody waits: look again when nobody can be woken in between.
    await waitlist.lock_keys(tx.conn, {waitlist.key_of(queue.blocked_by) for queue in found})
    return await waitlist.queues(tx.conn, wanted, today, apart_from)
