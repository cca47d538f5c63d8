"""Records that are one person: proposed by one member of staff, confirmed by another."""

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import Problem
from aidmesh_intake.api.context import SECOND_PERSON, Caseworker, Ctx, Lead, invalid
from aidmesh_intake.handlers import merging
from aidmesh_intake.store import merging as store

router = Routes(prefix="/v1", tags=["persons"])
_AFTER: Final = TypeAdapter(tuple[datetime, UUID])


class MergeIn(Body):
    """Which record stands for both from now on."""

    into_person_id: UUID


class MergeView(BaseModel):
    """One record behind another: `proposed`, or `merged` and in force.

    Attributes:
        households_differ: of what is proposed, whether one of the two belongs to a household to
            which the other does not: they would belong to it too.
    """

    merge_id: UUID
    person_id: UUID
    into_person_id: UUID
    state: str
    proposed_by: UUID | None
    proposed_at: datetime
    decided_by: UUID | None
    households_differ: bool = False


class MergePage(BaseModel):
    """A page of merges; `next` is the `after` of the page that follows."""

    merges: list[MergeView]
    next: str | None


@router.post("/persons/{person_id}:merge")
async def propose(
    person_id: UUID, body: MergeIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Say that two records are one person. It comes about when a lead, somebody else, confirms."""
    if body.into_person_id == person_id:
        raise invalid("body.into_person_id", "same_person")
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        merge_id = await merging.propose(tx, person_id, body.into_person_id, caller.staff_id)
        return await once.answer(tx, 200, {"merge_id": merge_id, "state": "proposed"})


@router.get("/merges")
async def list_merges(
    ctx: Ctx, caller: Caseworker, page: PageQuery, person_id: UUID | None = None
) -> MergePage:
    """What is to be confirmed; of one person also the records that were merged into theirs."""
    async with ctx.database.read() as conn:
        rows = await store.merges(conn, person_id, page.after(_AFTER), page.limit + 1)
    kept, following = page.cut(rows, lambda row: (row["proposed_at"].isoformat(), str(row["id"])))
    return MergePage(
        merges=[
            MergeView(
                merge_id=row["id"],
                person_id=row["person_id"],
                into_person_id=row["into_id"],
                state=row["state"],
                proposed_by=row["proposed_by"],
                proposed_at=row["proposed_at"],
                decided_by=row["decided_by"],
                households_differ=row["households_differ"],
            )
            for row in kept
        ],
        next=following,
    )


@router.post("/merges/{merge_id}:confirm")
async def confirm(merge_id: UUID, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Two records are one person: results count them once from now on."""
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            into_id = await merging.confirm(tx, vault, merge_id, caller.staff_id)
        except merging.OwnProposal:
            raise Problem(SECOND_PERSON) from None
        return await once.answer(tx, 200, {"merge_id": merge_id, "person_id": into_id})


@router.post("/merges/{merge_id}:withdraw")
async def withdraw(merge_id: UUID, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """They are two after all."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        await merging.withdraw(tx, merge_id, caller.staff_id)
        return await once.answer(tx, 200, {"merge_id": merge_id, "state": "withdrawn"})


@router.post("/persons/{person_id}:unmerge")
async def unmerge(person_id: UUID, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Take a merge back: this record stands for itself again, and results count both.

    Each need stays with its own record. What was asked for since the merge was confirmed, by
    whichever code, is of the record that stood for both: what is open of it is under attention
    (`parted`) until somebody has looked whose it is, and told in person. What of it, or of this
    record's, other regions were offered is withdrawn.
    """
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        await merging.unmerge(tx, vault, person_id, caller.staff_id)
        return await once.answer(tx, 200, {"person_id": person_id})
