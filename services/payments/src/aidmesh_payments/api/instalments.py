"""The route that takes instalments in, many at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay, day_of, is_future
from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.values import Code, Currency
from aidmesh_payments.api.bulk import Bulk, RowBody
from aidmesh_payments.api.desk import ROWS_MAX, Desk, Finance, Minor, Text
from aidmesh_payments.handlers import instalments as handlers
from aidmesh_payments.handlers.instalments import Came, Expected
from aidmesh_payments.store import grants as store


class InstalmentRow(RowBody):
    """An instalment that is expected, or that came in, or both.

    With `instalment_id` an expected one came in; otherwise `grant` is the grant's code.

    Attributes:
        amount_minor: in the grant's currency.
        paid_minor, paid_currency: what the donor paid, where that is another currency; both then.
    """

    instalment_id: UUID | None = None
    grant: Code | None = None
    amount_minor: Minor
    expected_on: EnteredDay | None = None
    received_on: EnteredDay | None = None
    bank_reference: Text | None = None
    paid_minor: Minor | None = None
    paid_currency: Currency | None = None


class InstalmentsBody(Body):
    """Many instalments."""

    source: Text = "form"
    rows: Annotated[tuple[InstalmentRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


def router(desk: Desk) -> Routes:
    """The route."""
    routes = Routes(prefix="/v1", tags=["grants"], route_class=BulkRoute)

    @routes.post("/instalments:bulk")
    async def instalments(body: InstalmentsBody, caller: Finance, once: Once) -> Response:
        """Expected and received instalments. Only what was received can be allotted."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "instalments", body.source, body.rows)
            codes = await store.grants_by_code(
                tx.conn, (row.grant for row in body.rows if row.grant is not None)
            )
            expected, came = _expected_and_came(bulk, codes, tx.now)
            outcomes = await handlers.enter(tx, expected, list(came.values()), caller.staff_id)
            for (place, each), refusal in zip(came.items(), outcomes, strict=True):
                bulk.answer(place, each.instalment_id, refusal)
            return await once.answer(tx, 200, await bulk.finish(tx))

    return routes


def _expected_and_came(
    bulk: Bulk[InstalmentRow], codes: Mapping[str, GrantId], now: datetime
) -> tuple[Sequence[Expected], Mapping[int, Came]]:
    """What new rows expect, and by place what came in; rows that only expect are done.

    Money that nobody had expected is expected first.
    """
    today = day_of(now)
    expected: list[Expected] = []
    came: dict[int, Came] = {}
    for place, row in bulk.fresh.items():
        if row.received_on is not None and is_future(row.received_on, now):
            bulk.reject(place, "day-in-future")
            continue
        instalment_id = row.instalment_id
        if instalment_id is None:
            grant_id = codes.get(row.grant or "")
            if grant_id is None:
                bulk.reject(place, "unknown-row")
                continue
            instalment_id = uuid4()
            day = row.expected_on or row.received_on or today
            expected.append(Expected(instalment_id, grant_id, row.amount_minor, day))
        if row.received_on is None and row.instalment_id is None:
            bulk.done(place, instalment_id)
        else:
            came[place] = Came(
                instalment_id,
                row.amount_minor,
                row.received_on or today,
                row.bank_reference or row.row_id,
                row.paid_minor,
                row.paid_currency,
            )
    return expected, came
