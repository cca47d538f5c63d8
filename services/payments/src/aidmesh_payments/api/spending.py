"""Routes about commitments, discrepancies and the ledger."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Query, Response
from pydantic import TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId
from aidmesh_contracts.values import Code
from aidmesh_payments.api.answers_spending import (
    AccountPage,
    BillPage,
    DiscrepancyPage,
    JournalPage,
    OfNeed,
)
from aidmesh_payments.api.desk import (
    Approver,
    Desk,
    Finance,
    Minor,
    Payer,
    Reader,
    Text,
    Worker,
    seen_by,
)
from aidmesh_payments.handlers import bills, commitments
from aidmesh_payments.store.queries import payouts as payout_queries
from aidmesh_payments.store.queries import spending as queries

_AFTER: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])
_ACCOUNT: TypeAdapter[tuple[str, UUID]] = TypeAdapter(tuple[str, UUID])


class BillBody(Body):
    """What a provider really charges."""

    amount_minor: Minor
    reason: Code = "bill"


class SettleBody(Body):
    """How a discrepancy was settled: booked on an allotment, or not to be booked."""

    allotment_id: UUID | None = None
    note: Text


def router(desk: Desk) -> Routes:
    """The routes about commitments, discrepancies and the ledger."""
    routes = Routes(prefix="/v1", tags=["spending"])

    @routes.get("/needs/{need_id}/commitment", response_model=OfNeed)
    async def of_need(need_id: UUID, caller: Worker) -> dict[str, object]:
        """What was committed for a need; of a sensitive one, to some, not what for."""
        async with desk.db.read() as conn:
            made = await queries.commitments_of(conn, NeedId(need_id))
            refused = await queries.refusal_of(conn, NeedId(need_id))
            drawn = await payout_queries.of_need(conn, NeedId(need_id))
        return {
            "commitments": [seen_by(caller, each) for each in made],
            "refused": None if refused is None else seen_by(caller, refused),
            "payouts": drawn,
        }

    @routes.post("/commitments/{commitment_id}:bill")
    async def bill(commitment_id: UUID, body: BillBody, caller: Finance, once: Once) -> Response:
        """Spending less than committed releases the rest; more takes free money.

        Above the float limit it waits until somebody else approves it (`waits`), and takes the
        place of a bill that waited.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bill_id = uuid4()
            entered = await bills.enter(
                desk.office,
                tx,
                bill_id,
                CommitmentId(commitment_id),
                body.amount_minor,
                body.reason,
                caller.staff_id,
            )
            waits = entered.state == "waiting"
            return await once.answer(
                tx, 200, {"commitment_id": commitment_id, "bill_id": bill_id, "waits": waits}
            )

    @routes.get("/bills", response_model=BillPage)
    async def waiting_bills(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Bills of providers that wait for a second person, oldest first."""
        async with desk.db.read() as conn:
            rows = await queries.bills(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["recorded_at"], row["id"]))
        return {"bills": [seen_by(caller, each) for each in kept], "next": following}

    @routes.post("/bills/{bill_id}:approve")
    async def approve_bill(bill_id: UUID, caller: Payer, once: Once) -> Response:
        """Have a bill charged that somebody else entered."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await bills.approve(desk.office, tx, bill_id, caller.staff_id)
            return await once.answer(tx, 200, {"bill_id": bill_id})

    @routes.post("/bills/{bill_id}:withdraw")
    async def withdraw_bill(bill_id: UUID, caller: Payer, once: Once) -> Response:
        """It was entered wrong: nothing is charged for it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await bills.withdraw(tx, bill_id, caller.staff_id)
            return await once.answer(tx, 200, {"bill_id": bill_id})

    @routes.get("/discrepancies", response_model=DiscrepancyPage)
    async def discrepancies(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Facts that do not fit the books, oldest first; some see not what they are for."""
        async with desk.db.read() as conn:
            rows = await queries.discrepancies(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["opened_at"], row["id"]))
        return {"discrepancies": [seen_by(caller, each) for each in kept], "next": following}

    @routes.post("/discrepancies/{discrepancy_id}:settle")
    async def settle(
        discrepancy_id: UUID, body: SettleBody, caller: Approver, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await commitments.settle_discrepancy(
                desk.office,
                tx,
                discrepancy_id,
                None if body.allotment_id is None else AllotmentId(body.allotment_id),
                caller.staff_id,
                body.note,
            )
            return await once.answer(tx, 200, {"discrepancy_id": discrepancy_id})

    @routes.get("/accounts", response_model=AccountPage)
    async def accounts(
        caller: Reader, page: PageQuery, grant_id: UUID | None = None
    ) -> dict[str, object]:
        """Accounts with their balances, by code."""
        async with desk.db.read() as conn:
            rows = await queries.accounts(
                conn,
                None if grant_id is None else GrantId(grant_id),
                page.after(_ACCOUNT),
                page.limit + 1,
            )
        kept, following = page.cut(rows, lambda row: (row["code"], row["id"]))
        return {"accounts": kept, "next": following}

    @routes.get("/ledger", response_model=JournalPage)
    async def ledger(
        caller: Reader,
        page: PageQuery,
        grant_id: UUID | None = None,
        first_on: Annotated[EnteredDay | None, Query(alias="from")] = None,
        last_on: Annotated[EnteredDay | None, Query(alias="to")] = None,
    ) -> dict[str, object]:
        """Journals with their postings, by when they were recorded.

        Of spending for sensitive needs some see the amount and the day, not the grant.
        """
        async with desk.db.read() as conn:
            rows = await queries.journals(
                conn,
                None if grant_id is None else GrantId(grant_id),
                (first_on or date.min, last_on or date.max),
                page.after(_AFTER),
                page.limit + 1,
                sensitive_too=caller.sees_sensitive,
            )
        journals: dict[object, dict[str, object]] = {}
        postings: dict[object, list[dict[str, object]]] = {}
        for row in rows:
            journals.setdefault(
                row["id"],
                {
                    name: row[name]
                    for name in ("id", "kind", "occurred_on", "recorded_at", "reference", "reason")
                },
            )
            postings.setdefault(row["id"], []).append(
                {
                    name: row[name]
                    for name in (
                        "account",
                        "grant_id",
                        "allotment_id",
                        "currency",
                        "amount_minor",
                    )
                }
            )
        kept, following = page.cut(
            list(journals.values()), lambda row: (row["recorded_at"], row["id"])
        )
        return {
            "journals": [{**row, "postings": postings[row["id"]]} for row in kept],
            "next": following,
        }

    return routes
