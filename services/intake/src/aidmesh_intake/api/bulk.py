"""The bulk forms: approve, tell and serve many at once, and find imported rows again."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import INVALID
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.values import Code
from aidmesh_intake.api.context import (
    ROW_CHANGED,
    Caseworker,
    Ctx,
    Staff,
    Teller,
    kind_of,
    override_by,
)
from aidmesh_intake.domain import commands, served_rows
from aidmesh_intake.domain.need import Need
from aidmesh_intake.handlers import acting, serving
from aidmesh_intake.handlers.acting import Outcome
from aidmesh_intake.store import imports, lists

router = Routes(prefix="/v1", tags=["bulk"], route_class=BulkRoute)
ROWS_MAX = 5000
_PROBLEM_OF: Final = {
    served_rows.ROW_CHANGED: ROW_CHANGED.slug,
    served_rows.IN_THE_FUTURE: INVALID.slug,
}


class NeedRef(Body):
    """A need, by its id."""

    need_id: UUID
    row_id: str | None = Field(default=None, max_length=128)


class NeedRefs(Body):
    """Needs to act on, each on its own merits.

    Attributes:
        override_reason: as with a single approval; those who entered a request themselves cannot
            let it pass, unless they are leads.
    """

    rows: Annotated[tuple[NeedRef, ...], Field(min_length=1, max_length=ROWS_MAX)]
    override_reason: Code | None = None


class ServedIn(Body):
    """A need that was served.

    Attributes:
        row_id: the row's own id at its source; never a name or number of a person.
        served_on: when it was given; today by default.
    """

    row_id: Annotated[str, Field(min_length=1, max_length=128)]
    need_id: UUID
    served_on: EnteredDay | None = None


class ServedRows(Body):
    """Needs that were served, each on its own merits; a row is known by source and `row_id`."""

    source: Code = "bulk"
    rows: Annotated[tuple[ServedIn, ...], Field(min_length=1, max_length=ROWS_MAX)]


class ImportedRows(Body):
    """Rows of imports, by the ids that their source gave them."""

    source: Code
    row_ids: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=ROWS_MAX),
    ]


class Imported(BaseModel):
    """Where an imported row stands."""

    row: int
    need_id: UUID | None
    state: str | None
    attempt_no: int | None = None
    site_id: UUID | None = None


@router.post("/needs:approve")
async def approve_many(body: NeedRefs, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Approve needs; an approved one that is named again is skipped."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        kinds = await ctx.catalogue.current(tx.conn)
        ids = list(dict.fromkeys(row.need_id for row in body.rows))
        outcomes = await acting.approve(
            tx, ids, kinds, caller.staff_id, override=override_by(caller, body.override_reason)
        )
        found = dict(zip(ids, outcomes, strict=True))
        return await once.answer(tx, 200, _told(body, found, skipped=("not_waiting_for_approval",)))


@router.post("/needs:told")
async def tell_many(body: NeedRefs, ctx: Ctx, caller: Teller, once: Once) -> Response:
    """Note that people were told in person; those who know already are skipped."""
    sensitive_too = caller.sees_sensitive

    def visible(need: Need) -> bool:
        return sensitive_too or not need.sensitive

    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        ids = list(dict.fromkeys(row.need_id for row in body.rows))
        outcomes = await acting.act(
            tx, ids, lambda need: commands.tell(need, tx.now), caller.staff_id, visible=visible
        )
        found = dict(zip(ids, outcomes, strict=True))
        return await once.answer(tx, 200, _told(body, found, skipped=("already_told",)))


@router.post("/needs:serve")
async def serve_many(body: ServedRows, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Record services that take nothing from stock, places or money, and confirm starts.

    Rows that were taken in before are skipped; a row whose need is not ready is rejected and may
    be sent again.
    """
    sensitive_too = caller.sees_sensitive

    def visible(need: Need) -> bool:
        return sensitive_too or not need.sensitive

    rows = [serving.Served(row.row_id, row.need_id, row.served_on) for row in body.rows]
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        outcomes = await serving.serve(tx, body.source, rows, caller.staff_id, visible)
        answers = [
            _row(number, row.need_id, outcome, (served_rows.TAKEN_BEFORE,))
            for number, (row, outcome) in enumerate(zip(rows, outcomes, strict=True))
        ]
        return await once.answer(tx, 200, {"rows": answers})


@router.post("/needs:lookup")
async def lookup(body: ImportedRows, ctx: Ctx, caller: Staff, once: Once) -> Response:
    """The needs that rows of imports became, and where they stand."""
    vault = ctx.vault.open()
    keys = [vault.row_key(body.source, row_id) for row_id in body.row_ids]
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        rows = await imports.rows_by_key(tx.conn, keys)
        states = await lists.states_of(tx.conn, [row.need_id for row in rows.values()])
        answer: list[Imported] = []
        for number, key in enumerate(keys):
            row = rows.get(key)
            state = None if row is None else states.get(row.need_id)
            if state is None or (state["sensitive"] and not caller.sees_sensitive):
                answer.append(Imported(row=number, need_id=None, state=None))
                continue
            answer.append(
                Imported(
                    row=number,
                    need_id=state["id"],
                    state=state["state"],
                    attempt_no=state["attempt_no"],
                    site_id=state["at_site_id"],
                )
            )
        return await once.answer(
            tx, 200, {"rows": [each.model_dump(mode="json") for each in answer]}
        )


def _told(
    body: NeedRefs, found: dict[UUID, Outcome], skipped: tuple[str, ...]
) -> dict[str, object]:
    return {
        "rows": [
            _row(number, row.need_id, found[row.need_id], skipped)
            for number, row in enumerate(body.rows)
        ]
    }


def _row(
    number: int, need_id: UUID, outcome: Outcome, skipped: tuple[str, ...]
) -> dict[str, object]:
    problem: str | None = None
    status = "done"
    if outcome.missing:
        status, problem = "rejected", "not-found"
    elif outcome.rule in skipped:
        status = "skipped"
    elif outcome.rule is not None:
        status = "rejected"
        problem = _PROBLEM_OF.get(outcome.rule, kind_of(outcome).slug)
    return {
        "row": number,
        "status": status,
        "problem": problem,
        "rule": outcome.rule,
        "id": need_id,
        "state": None if outcome.need is None else outcome.need.state.value,
    }
