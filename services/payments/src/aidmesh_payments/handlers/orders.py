"""What this office pays for other regions, and what it tells them of it."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, GrantId, PayoutId
from aidmesh_contracts.payments import PayoutAssignedV1, PayoutOutcomeV1, PayoutWithdrawnV1
from aidmesh_contracts.retention import kept_if_paid_from
from aidmesh_payments.domain import orders as rules
from aidmesh_payments.domain.orders import Order, OrderVerb
from aidmesh_payments.domain.payout import PayoutRefusal, may_be_second
from aidmesh_payments.handlers import assignments
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.payouts import Step
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import orders as store
from aidmesh_payments.store.orders import OrderRow

LIMIT = 200


async def receive(office: Office, tx: Tx, batch: Sequence[Received[PayoutAssignedV1]]) -> None:
    """Keep what regions ask to be paid, once; nothing of what was asked back before it came."""
    fresh: dict[PayoutId, OrderRow] = {}
    for item in batch:
        try:
            box = base64.b64decode(item.event.sealed, validate=True)
        except binascii.Error:
            raise Poison("sealed_is_not_base64") from None
        fresh[item.event.payout_id] = OrderRow(item.event.payout_id, item.region, Order(), box)
    new = await store.insert(tx.conn, list(fresh.values()))
    kept = await store.lock(tx.conn, office.region, fresh)
    if any(kept[item.event.payout_id].region != item.region for item in batch):
        raise Poison("another_regions_payout")
    for key in sorted(new):
        _tell(tx, kept[key])
    await _doubt_older(tx, [item for item in batch if item.event.payout_id in new])


async def _doubt_older(tx: Tx, batch: Sequence[Received[PayoutAssignedV1]]) -> None:
    """What was asked before this region was restored may have been paid, and then forgotten."""
    restored_at = await restoring.last_restored(tx.conn)
    if restored_at is None:
        return
    until = restored_at + timedelta(seconds=restoring.HANDOFF_MARGIN_S)
    older = [item.event.payout_id for item in batch if item.occurred_at < until]
    await restoring.doubt(tx.conn, "order", older)


async def withdraw(office: Office, tx: Tx, batch: Sequence[Received[PayoutWithdrawnV1]]) -> None:
    """Give back what has not left; it may be asked for before it comes.

    What may have been paid before a restore waits until a person has found out. Of what has left,
    or is over, the answer was told already, and a handoff is never lost.
    """
    asked = {item.event.payout_id: item.region for item in batch}
    graves = [
        OrderRow(payout_id, region, Order(state="cancelled")) for payout_id, region in asked.items()
    ]
    new = await store.insert(tx.conn, graves)
    rows = await store.lock(tx.conn, office.region, asked)
    if any(rows[item.event.payout_id].region != item.region for item in batch):
        raise Poison("another_regions_payout")
    doubted = await restoring.doubted(tx.conn, rows)
    waiting = [row for row in rows.values() if row.order.state == "received"]
    asked_back = [replace(row, asked_back=True) for row in waiting if row.id in doubted]
    await store.save(tx.conn, asked_back)
    await _give_back(tx, [row for row in waiting if row.id not in doubted])
    for key in sorted(new):
        _tell(tx, rows[key])


async def give_back_unpaid(office: Office, tx: Tx, ids: Iterable[PayoutId]) -> None:
    """People found out that these were not paid: give back what was asked for meanwhile."""
    rows = await store.lock(tx.conn, office.region, ids)
    asked_back = [row for row in rows.values() if row.asked_back]
    await _give_back(tx, [row for row in asked_back if row.order.state == "received"])


async def _give_back(tx: Tx, rows: Sequence[OrderRow]) -> None:
    given_back = [replace(row, order=rules.withdraw(row.order)) for row in rows]
    await store.save(tx.conn, given_back)
    for row in given_back:
        _tell(tx, row)


def _tell(tx: Tx, row: OrderRow) -> None:
    order = row.order
    tx.hand_over(
        PayoutOutcomeV1(
            payout_id=row.id,
            state=order.state,
            reason=order.reason,
            bank_reference=row.bank_reference,
            settled_on=row.settled_on,
            settled_by=order.settler,
            version=order.version,
        ),
        row.region,
    )


async def read_boxes(office: Office, keys: KeyRing, tx: Tx) -> int:
    """Open boxes that came, for what is no person's; a sweep. Returns how many.

    It waits for the key. What cannot be opened goes back: it was sealed to another key.
    """
    if PAYMENTS in keys.missing:
        return 0
    rows = await store.lock_unread(tx.conn, office.region, LIMIT)
    if not rows:
        return 0
    read: list[tuple[PayoutId, GrantId, AllotmentId, str, str, Order]] = []
    refused: list[OrderRow] = []
    for row in rows:
        try:
            box = assignments.opened(keys, row.sealed or b"")
        except assignments.UnreadableError:
            refused.append(replace(row, order=rules.refuse_unreadable(row.order)))
            continue
        order = replace(
            row.order,
            amount_minor=box.amount_minor,
            approver=box.approver,
            sealed_by=box.sealed_by,
        )
        read.append(
            (row.id, box.grant_id, box.allotment_id, box.payee.mechanism, box.currency, order)
        )
    await store.note_content(tx.conn, read)
    await store.save(tx.conn, refused)
    for row in refused:
        _tell(tx, row)
    return len(rows)


async def take_steps(
    office: Office,
    tx: Tx,
    verb: OrderVerb,
    steps: Iterable[Step],
    by: UUID,
) -> Mapping[PayoutId, PayoutRefusal | None]:
    """Take the same step with many orders and tell their regions.

    Returns:
        by order that exists, why it was refused, or None when it is done.
    """
    wanted = {each.payout_id: each for each in steps}
    rows = await store.lock(tx.conn, office.region, wanted)
    now = await allotment_store.clock(tx.conn)
    doubted = await restoring.doubted(tx.conn, rows)
    outcomes: dict[PayoutId, PayoutRefusal | None] = {}
    saved: list[OrderRow] = []
    for row in rows.values():
        step = wanted[row.id]
        is_forgotten = step.is_forgotten and row.id in doubted
        if row.id in doubted and not is_forgotten and may_be_second(verb, is_cash=False):
            outcomes[row.id] = PayoutRefusal.UNPROVEN
            continue
        order = rules.step(
            row.order,
            verb,
            by,
            now,
            float_limit_minor=office.float_limit_minor(row.order.currency or ""),
            reason=step.reason,
            settled_on=step.settled_on,
            is_forgotten=is_forgotten,
        )
        if isinstance(order, PayoutRefusal):
            outcomes[row.id] = order
            continue
        if verb in ("export", "settle") and not row.is_vouched:
            outcomes[row.id] = PayoutRefusal.NOT_VOUCHED
            continue
        changed = replace(row, order=order, batch_id=step.batch_id or row.batch_id)
        if verb == "settle":
            changed = replace(
                changed,
                bank_reference=step.bank_reference,
                settled_on=step.settled_on or day_of(now),
            )
        saved.append(changed)
        outcomes[row.id] = None
    await store.save(tx.conn, saved)
    for row in saved:
        _tell(tx, row)
    proven = doubted & {row.id for row in saved}
    if proven and verb != "export":
        await restoring.clear(tx.conn, proven, verb, by)
    return outcomes


async def review_one(office: Office, tx: Tx, payout_id: PayoutId, by: UUID) -> None:
    """Review what one person paid alone. Raises `Problem`."""
    row = (await store.lock(tx.conn, office.region, [payout_id])).get(payout_id)
    if row is None:
        raise Problem(NOT_FOUND)
    reviewed = rules.review(row.order, by)
    if isinstance(reviewed, PayoutRefusal):
        raise problem(reviewed)
    await store.save(tx.conn, [replace(row, order=reviewed)])


async def forget(tx: Tx) -> int:
    """Delete details of people whom this office paid once the law does not have them kept."""
    return await store.forget(tx.conn, kept_if_paid_from(day_of(tx.now)), LIMIT)
