"""A request and why it has its points. Whoever sees the answers leaves a trace."""

from datetime import date, datetime
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.http import PageQuery, Routes, revealed
from aidmesh_chassis.privacy import PersonalText
from aidmesh_intake.api.context import Caseworker, Ctx, Lead
from aidmesh_intake.api.persons import AFTER_ACCESS, AccessPage
from aidmesh_intake.domain.triage import points_of
from aidmesh_intake.handlers import reasons
from aidmesh_intake.handlers.reasons import Reasons, Shown
from aidmesh_intake.store import access

router = Routes(prefix="/v1/requests", tags=["requests"])


class AnswerView(BaseModel):
    """An answer of triage, and how much it counts."""

    answer: str = Field(repr=False)
    yes: bool = Field(repr=False)
    points: int = Field(repr=False)


class ScoredNeed(BaseModel):
    """A need of the request: its points are those of its kind and of the answers together."""

    need_id: UUID
    kind: str
    points: int
    kind_points: int
    rule_version: int


class RequestView(BaseModel):
    """A request, decrypted for a caseworker.

    Attributes:
        reasons: whether answers and note are `shown`, there are `none`, or they were `erased`
            with the person or household.
        answer_points: of all answers together, as far as they may lift a need.
    """

    request_id: UUID
    for_whom: str
    person_id: UUID | None
    household_id: UUID | None
    site_id: UUID | None
    source: str
    asked_on: date
    recorded_at: datetime
    caseworker: UUID | None
    needs: list[ScoredNeed]
    reasons: Shown
    answers: list[AnswerView]
    answer_points: int | None
    note: PersonalText | None


@router.get("/{request_id}", response_model=RequestView)
async def get_request(request_id: UUID, ctx: Ctx, caller: Caseworker) -> Response:
    """A request with its answers, the points of each, and its note. Who looked is remembered."""
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        found = await reasons.read(tx, vault, request_id, caller.staff_id)
    return revealed(_view(found))


@router.get("/{request_id}/access")
async def get_access(request_id: UUID, ctx: Ctx, caller: Lead, page: PageQuery) -> AccessPage:
    """Who saw a request's answers and note, latest first."""
    async with ctx.database.read() as conn:
        rows = await access.readings_of(conn, request_id, page.after(AFTER_ACCESS), page.limit + 1)
    return AccessPage.of(page, rows)


def _view(found: Reasons) -> RequestView:
    shown = found.shown is Shown.SHOWN
    from_answers = points_of(found.answers)
    row = found.request
    return RequestView(
        request_id=row["id"],
        for_whom=row["for_whom"],
        person_id=row["person_id"],
        household_id=row["household_id"],
        site_id=row["site_id"],
        source=row["source"],
        asked_on=row["asked_on"],
        recorded_at=row["recorded_at"],
        caseworker=row["caseworker"],
        # What the kind brought tells what the answers did: neither is told of the erased.
        needs=[
            ScoredNeed(
                need_id=need["id"],
                kind=need["kind"],
                points=need["priority"],
                kind_points=need["priority"] - from_answers,
                rule_version=need["rule_version"],
            )
            for need in (found.needs if found.shown is not Shown.ERASED else ())
        ],
        reasons=found.shown,
        answers=[
            AnswerView(answer=each.answer, yes=each.yes, points=each.points)
            for each in found.answers
        ],
        answer_points=from_answers if shown else None,
        note=found.note,
    )
