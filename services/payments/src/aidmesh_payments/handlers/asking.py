"""Payouts that another region's office has and is asked to give back."""

from collections.abc import Iterable
from dataclasses import replace

from aidmesh_chassis import handoff
from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.payments import PayoutWithdrawnV1
from aidmesh_payments.domain.payout import Withdrawal
from aidmesh_payments.store import assigned as store
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store.payouts import PayoutRow


def ask_back(tx: Tx, row: PayoutRow, why: Withdrawal) -> PayoutRow:
    """Ask a payout back; the caller saves it. What becomes of it is the paying office's answer.

    Asked again, only the reason changes: that nobody is to be paid outweighs a correction.
    """
    assert row.assigned_to is not None  # noqa: S101 - callers look
    if row.withdrawal is None:
        tx.hand_over(PayoutWithdrawnV1(payout_id=row.id), row.assigned_to)
    return _because(row, why)


def _because(row: PayoutRow, why: Withdrawal) -> PayoutRow:
    return replace(row, withdrawal=why if row.withdrawal in (None, "corrected") else row.withdrawal)


async def ask_back_erased(tx: Tx, need_ids: Iterable[NeedId]) -> None:
    """Blank what was handed over for needs whose people were erased, and ask back what waits.

    A box that nobody has answered yet may have arrived all the same, so it is asked back, too.
    """
    rows = await store.lock_assigned(tx.conn, need_ids)
    await handoff.withdraw(tx.conn, [row.id for row in rows])
    asked = [row for row in rows if row.is_awaited]
    for row in asked:
        # Also where it was asked back before: that handoff was blanked with the box.
        ask_back(tx, replace(row, withdrawal=None), "erased")
    await payout_store.save(tx.conn, [_because(row, "erased") for row in asked])
