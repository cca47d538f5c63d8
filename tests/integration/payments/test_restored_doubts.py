"""What an office may have paid after the backup that it was restored from: a person looks."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.payments import KeyChangedV1, PayoutAssignedV1
from aidmesh_payments.handlers import orders, payouts, purchases
from aidmesh_payments.store import restoring as restoring_store
from integration.payments.offices import (
    CHECKER,
    MAKER,
    approved,
    confirmed,
    exchange,
)
from integration.payments.paying import take_step
from integration.payments.restored import backed_up, over, restored_office, two_offices
from support.servers import DatabaseFactory


async def test_what_may_be_paid_already_waits_for_a_person(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    await kyiv.purse(100_000)
    need = approved(5_000)
    await kyiv.feed(need)
    await kyiv.feed(confirmed(need))
    backup = await backed_up(dsn, tmp_path)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    payout_id = await restored.value("SELECT id FROM payout")

    async def approve() -> None:
        step = payouts.Step(payout_id)
        await restored.run(lambda tx: take_step(restored.office, tx, "approve", step, CHECKER))

    with pytest.raises(Problem, match="outcome-unproven"):
        await approve()
    # A payout that is drawn up later, for a need that was there: it may be the second.
    later = approved(6_000)
    async with restored.db.transaction() as tx:
        await restoring.doubt(tx.conn, "need", [later.need_id])
    await restored.feed(later)
    await restored.feed(confirmed(later))
    second = await restored.value("SELECT id FROM payout WHERE need_id = $1", later.need_id)
    async with restored.db.transaction() as tx:
        assert await restoring.doubted(tx.conn, [second, later.need_id]) == {later.need_id}
        ids = {payout_id, second}
        ids |= set(await restoring_store.needs_of(tx.conn, ids))
        assert await restoring.clear(tx.conn, ids, "nothing on the statement", CHECKER) == 2
    await approve()
    await over(restored, lviv)


async def test_orders_of_before_wait_for_a_person_and_answers_of_before_are_asked_for_again(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.db.close()
    sealed = base64.b64encode(b"box").decode()
    older, newer = (PayoutAssignedV1(payout_id=PayoutId(uuid4()), sealed=sealed) for _ in range(2))
    await lviv.run(lambda tx: _hand_over(tx, older))
    assert await lviv.value("SELECT status FROM handoff") == "settled"

    restored = await restored_office(dsn, fresh, backup, lviv)
    await exchange(restored, lviv)
    told = KeyChangedV1(purpose="seal", public=base64.b64encode(bytes(32)).decode(), version=1)
    await lviv.feed(told, region="kyiv", epoch=1)
    assert await lviv.value("SELECT status FROM handoff") == "settled"
    await lviv.feed(told, region="kyiv", epoch=2)
    assert await lviv.value("SELECT status FROM handoff") == "waiting"

    await restored.feed(older, region="lviv", at=datetime.now(UTC) - timedelta(minutes=1))
    await restored.feed(newer, region="lviv", at=datetime.now(UTC) + timedelta(hours=1))
    async with restored.db.transaction() as tx:
        ids = [older.payout_id, newer.payout_id]
        assert await restoring.doubted(tx.conn, ids) == {older.payout_id}
        outcomes = await orders.take_steps(
            restored.office, tx, "export", [payouts.Step(each) for each in ids], CHECKER
        )
    assert outcomes[older.payout_id] == "outcome-unproven"
    assert outcomes[newer.payout_id] != "outcome-unproven"
    await over(restored, lviv)


async def _hand_over(tx: Tx, event: Event) -> None:
    """Hand something over, and have it answered."""
    tx.hand_over(event, "kyiv")
    await tx.flush()
    await tx.conn.execute("UPDATE handoff SET status = 'settled', settled_at = now()")


async def test_what_nobody_drew_up_is_not_billed_and_paid_by_one_person(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    await kyiv.purse(100_000)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.feed(approved(20_000))
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv, with_log=True)
    order, office = await restored.value("SELECT id FROM purchase"), restored.office
    await restored.run(lambda tx: purchases.receive(office, tx, order))
    await restored.run(lambda tx: purchases.invoice(office, tx, order, MAKER, 20_000, "bill 7"))
    with pytest.raises(Problem, match="second-person-needed"):
        await restored.run(lambda tx: purchases.pay(office, tx, order, MAKER, "bank-7", None))
    await restored.run(lambda tx: purchases.pay(office, tx, order, CHECKER, "bank-7", None))
    assert await restored.value("SELECT spent_minor FROM allotment") == 20_000
    await over(restored, lviv)
