"""What routes of own payouts and of other regions' orders share: steps, rows, payment lists."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.accounts import Mechanism
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.values import Currency
from aidmesh_payments.api.bulk import Bulk, R
from aidmesh_payments.api.desk import ROWS_MAX, Desk
from aidmesh_payments.domain.payout import PayoutRefusal
from aidmesh_payments.handlers.payouts import Step, done
from aidmesh_payments.problems import problem
from aidmesh_payments.store import batches


class ReasonBody(Body):
    """The bank's reason, an ISO 20022 code."""

    reason: Literal["AC01", "AC04", "AC06", "AM04", "AM05"]


class ExportBody(Body):
    """Which approved payouts to put on a payment list."""

    currency: Currency
    mechanism: Mechanism
    rows_max: int = Field(default=1000, ge=1, le=ROWS_MAX)


class Take(Protocol):
    """Takes one kind of step; says why it was refused, or None, for each that exists."""

    def __call__(
        self, tx: Tx, *, steps: Sequence[Step]
    ) -> Awaitable[Mapping[PayoutId, PayoutRefusal | None]]: ...


async def take_one(
    desk: Desk, once: Once, take: Take, payout_id: UUID, reason: str | None = None
) -> Response:
    """Take one step and answer. Raises `Problem`."""
    step = Step(PayoutId(payout_id), reason=reason)
    async with desk.db.transaction() as tx:
        if known := await once.replay(tx):
            return known
        done(await take(tx, steps=[step]), step)
        return await once.answer(tx, 200, {"payout_id": payout_id})


async def take_rows(tx: Tx, bulk: Bulk[R], take: Take, steps: Mapping[int, Step]) -> None:
    """Take the steps of a bulk form's rows; of rows that name one twice the first counts."""
    named: dict[PayoutId, int] = {}
    for place, step in steps.items():
        if named.setdefault(step.payout_id, place) != place:
            bulk.reject(place, "wrong-state")
    outcomes = await take(tx, steps=[steps[place] for place in named.values()])
    bulk.settle({place: payout_id for payout_id, place in named.items()}, outcomes)


async def export(
    tx: Tx,
    once: Once,
    body: ExportBody,
    by: UUID,
    take: Take,
    amounts_minor: Mapping[PayoutId, int],
    name: str,
) -> Response:
    """Put payouts on a new payment list and answer.

    Args:
        amounts_minor: by payout.
        name: what they are called in the answer.

    Raises:
        Problem: there are none.
    """
    if not amounts_minor:
        raise problem("wrong-state")
    batch_id, total = uuid4(), sum(amounts_minor.values())
    await batches.insert(
        tx.conn, batch_id, body.currency, body.mechanism, len(amounts_minor), total, by
    )
    steps = [Step(payout_id, batch_id=batch_id) for payout_id in amounts_minor]
    if any((await take(tx, steps=steps)).values()):
        # Somebody else was faster with one of them: nothing is exported twice.
        raise problem("wrong-state")
    return await once.answer(
        tx,
        201,
        {"batch_id": batch_id, name: len(amounts_minor), "total_minor": total},
        location=f"/v1/payout-batches/{batch_id}/list.csv",
    )
