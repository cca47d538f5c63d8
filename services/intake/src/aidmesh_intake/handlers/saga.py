"""Answers of inventory, payments and notification, and growth, by the batch."""

from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
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
from aidmesh_intake.domain.waitlist import Growth
from aidmesh_intake.handlers.applying import Change, apply, offer_growth, queues_touched
from aidmesh_intake.handlers.locking import lock_late
from aidmesh_intake.store import growth, waitlist
from aidmesh_intake.store import needs as store
from aidmesh_intake.store.waitlist import Key

_ENDING = (
    ReservationRefusedV1,
    ReservationReleasedV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
)
"""Answers that put a need on the waitlist."""
A = TypeVar("A", bound=saga.Answer)


async def advance(tx: Tx, batch: Sequence[Received[A]]) -> None:
    """Move needs on by what was answered.

    Raises:
        Poison: an answer about a need that intake never had.
        asyncpg.LockNotAvailableError: another transaction is in the way; run it again.
    """
    ending = [each.event.need_id for each in batch if isinstance(each.event, _ENDING)]
    keys = await waitlist.keys_of(
        tx.conn, ending, standing=[received.event.need_id for received in batch]
    )
    for received in batch:
        if isinstance(received.event, ReservationRefusedV1 | CommitmentRefusedV1):
            blocked_by = received.event.blocked_by
            keys |= set() if blocked_by is None else {waitlist.key_of(blocked_by)}
    await waitlist.lock_keys(tx.conn, keys)
    needs = await store.lock(tx.conn, [received.event.need_id for received in batch])
    changes: list[Change] = []
    for received in batch:
        need = needs.get(received.event.need_id)
        if need is None:
            raise Poison("unknown_need")
        decision = saga.decide(need, received.event, tx.now)
        needs[need.id] = decision.need
        changes.append(Change(need, decision, received))
    # Somebody may have been woken, or begun to wait, since we looked.
    await lock_late(tx, queues_touched(changes) - keys)
    await apply(tx, changes)


async def supply_grew(tx: Tx, batch: Sequence[Received[SupplyGrewV1]]) -> None:
    """Offer more goods and places to those who wait for them."""
    growths = [
        Growth(
            id=received.event_id,
            resource=received.event.resource,
            code=received.event.code,
            currency=None,
            programmes=None,
            site_id=received.event.site_id,
            area=received.event.area,
            left=received.event.quantity,
            cap=None,
            freed_by=received.event.freed_by,
            grew_at=received.event.grew_at,
            received_at=tx.now,
            on=received.event.on,
        )
        for received in batch
    ]
    keys = {Key(each.resource, each.code or "") for each in growths}
    totals = {received.event_id for received in batch if received.event.is_total}
    await _grew(tx, growths, keys, batch, totals)


async def funds_grew(tx: Tx, batch: Sequence[Received[FundsGrewV1]]) -> None:
    """Offer more money to those who wait for it."""
    growths = [
        Growth(
            id=received.event_id,
            resource="money",
            code=None,
            currency=received.event.currency,
            programmes=None
            if received.event.programmes is None
            else frozenset(received.event.programmes),
            site_id=None,
            area=None,
            left=received.event.amount_minor,
            cap=None,
            freed_by=received.event.freed_by,
            grew_at=received.event.grew_at,
            received_at=tx.now,
        )
        for received in batch
    ]
    keys = {Key("money", each.currency or "") for each in growths}
    await _grew(tx, growths, keys, batch)


async def _grew(
    tx: Tx,
    growths: Sequence[Growth],
    keys: set[Key],
    batch: Sequence[Received[SupplyGrewV1]] | Sequence[Received[FundsGrewV1]],
    totals: Collection[UUID] = (),
) -> None:
    await waitlist.lock_keys(tx.conn, keys)
    await growth.add_growth(tx.conn, growths)
    if totals:
        await growth.void_days(tx.conn, [each for each in growths if each.id in totals])
    await offer_growth(tx, keys, cause=batch[0] if len(batch) == 1 else None)
