"""Answers of inventory, payments and notification, and growth, by the batch.

Queues come before needs, see `locking`: those of a whole batch are locked before its first need.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeGuard

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import (
    ReservationRefusedV1,
    ReservationReleasedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.payments import (
    CommitmentRefusedV1,
    CommitmentReleasedV1,
    FundsGrewV1,
)
from aidmesh_intake.domain import saga
from aidmesh_intake.domain.waitlist import Growth, place_of, queue_of
from aidmesh_intake.handlers.applying import Change, apply, offer_growth, queues_touched
from aidmesh_intake.handlers.locking import lock_late
from aidmesh_intake.store import growth, waitlist
from aidmesh_intake.store import needs as store
from aidmesh_intake.store.waitlist import Key

Answer = Received[saga.Answer]
Grew = Received[SupplyGrewV1 | FundsGrewV1]
_ENDING = (
    ReservationRefusedV1,
    ReservationReleasedV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
)
"""Answers that put a need on the waitlist."""

_GROWTH = (SupplyGrewV1, FundsGrewV1)


async def take_in(tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Move needs on by what was answered, then offer what grew to those who wait for it.

    Raises:
        Poison: an answer about a need that intake never had.
        asyncpg.LockNotAvailableError: another transaction is in the way; run it again.
    """
    answers = [each for each in batch if _is_answer(each)]
    grew = [each for each in batch if _is_growth(each)]
    grown = {_key_of(each.event) for each in grew}
    keys = grown | await _queues_of(tx, answers)
    await waitlist.lock_keys(tx.conn, keys)
    if answers:
        await _advance(tx, answers, keys)
    if grew:
        at = await growth.clock(tx.conn)
        growths = [_growth_of(each, at) for each in grew]
        await growth.add_growth(tx.conn, growths)
        totals = [each for each in growths if each.is_total]
        if totals:
            await growth.void_days(tx.conn, totals)
        await offer_growth(tx, grown, cause=grew[0] if len(grew) == 1 else None)


async def _queues_of(tx: Tx, answers: Sequence[Answer]) -> set[Key]:
    """The queues that these answers may add to or take from."""
    if not answers:
        return set()
    ending = [each.event.need_id for each in answers if type(each.event) in _ENDING]
    keys = await waitlist.keys_of(
        tx.conn, ending, standing=[each.event.need_id for each in answers]
    )
    for each in answers:
        if isinstance(each.event, ReservationRefusedV1 | CommitmentRefusedV1):
            blocked_by = each.event.blocked_by
            keys |= set() if blocked_by is None else {waitlist.key_of(blocked_by)}
    return keys


async def _advance(tx: Tx, answers: Sequence[Answer], keys: set[Key]) -> None:
    needs = await store.lock(tx.conn, [received.event.need_id for received in answers])
    if any(received.event.need_id not in needs for received in answers):
        raise Poison("unknown_need")
    parts: list[Answer] = []
    others: list[Answer] = []
    for each in answers:
        may_split = saga.may_split(needs[each.event.need_id], each.event)
        (parts if may_split else others).append(each)
    wanted = [blocker for each in parts for blocker in needs[each.event.need_id].blockers]
    queues = await waitlist.queues(tx.conn, wanted, day_of(tx.now))
    # Whoever begins to wait by the other answers may stand before those that may be split.
    parts.sort(key=lambda each: place_of(needs[each.event.need_id]))
    changes: list[Change] = []
    for received in (*others, *parts):
        need = needs[received.event.need_id]
        decision = saga.decide(
            need, received.event, tx.now, said_at=received.occurred_at, queues=queues
        )
        needs[need.id] = decision.need
        changes.append(Change(need, decision, received))
        added = (queue_of(each) for each in (decision.need, *decision.split_off))
        queues += [each for each in added if each is not None]
    # Somebody may have been woken, or begun to wait, since we looked.
    await lock_late(tx, queues_touched(changes) - keys)
    await apply(tx, changes)


def _is_growth(received: Received[Event]) -> TypeGuard[Grew]:
    return type(received.event) in _GROWTH


def _is_answer(received: Received[Event]) -> TypeGuard[Answer]:
    return not _is_growth(received)


def _key_of(event: SupplyGrewV1 | FundsGrewV1) -> Key:
    if isinstance(event, SupplyGrewV1):
        return Key(event.resource, event.code)
    return Key("money", event.currency)


def _growth_of(received: Grew, at: datetime) -> Growth:
    event = received.event
    if isinstance(event, SupplyGrewV1):
        return Growth(
            id=received.event_id,
            resource=event.resource,
            code=event.code,
            currency=None,
            programmes=None,
            site_id=event.site_id,
            area=event.area,
            left=event.quantity,
            cap=None,
            freed_by=event.freed_by,
            grew_at=event.grew_at,
            received_at=at,
            on=event.on,
            is_total=event.is_total,
        )
    return Growth(
        id=received.event_id,
        resource="money",
        code=None,
        currency=event.currency,
        programmes=None if event.programmes is None else frozenset(event.programmes),
        site_id=None,
        area=None,
        left=event.amount_minor,
        cap=None,
        freed_by=event.freed_by,
        grew_at=event.grew_at,
        received_at=at,
    )
