"""What staff do to a need: approve, end, tell, serve, undo, move."""

from collections.abc import Callable
from uuid import UUID

from fastapi import Response

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.values import Area, Code
from aidmesh_intake.api.context import (
    Caseworker,
    Context,
    Ctx,
    Lead,
    Teller,
    invalid,
    kind_of,
    not_found,
    override_by,
)
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import Decision, Look, Need, Settlement, State
from aidmesh_intake.domain.persons import Payee
from aidmesh_intake.handlers import acting
from aidmesh_intake.handlers.acting import Outcome
from aidmesh_intake.store import needs as store

router = Routes(prefix="/v1", tags=["needs"])


class ApproveIn(Body):
    """`override_reason` approves whatever limits and duplicates say; a person answers for it.

    It stays in the need's timeline, and takes somebody else than who entered the request, or a
    lead.
    """

    override_reason: Code | None = None


class ReasonIn(Body):
    """Why; a code, no free text about anybody."""

    reason: Code


class ServeIn(Body):
    """When it was given; today by default."""

    served_on: EnteredDay | None = None


class SettleIn(Body):
    """Both services stand (`given_twice`), or one was undone where it was given (`taken_back`).

    Of what was asked for while two were held for one (`parted`) it is that the need is of whom it
    is written for (`theirs`); one that is not is canceled, and asked for anew for the other. Where
    somebody was told to come for what is gone (`told_to_come`), or another region refused what it
    had been given (`referral_refused`), it is that somebody has told them, or seen to it
    (`seen_to`).
    """

    reason: Settlement | Look


class MoveIn(Body):
    """Where the need is to be served instead."""

    place_area: Area
    site_id: UUID | None = None


class Nothing(Body):
    """An empty body."""


@router.post("/needs/{need_id}:approve")
async def approve(
    need_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: ApproveIn | None = None
) -> Response:
    """Let a requested need be served, or ask again for one that waits."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        kinds = await ctx.catalogue.current(tx.conn)
        (outcome,) = await acting.approve(
            tx,
            [need_id],
            kinds,
            caller.staff_id,
            override=override_by(caller, None if body is None else body.override_reason),
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:decline")
async def decline(
    need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Decide that a need will not be served."""
    return await _step(
        ctx, caller, once, need_id, lambda need: commands.end(need, State.DECLINED, body.reason)
    )


@router.post("/needs/{need_id}:cancel")
async def cancel(
    need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """The person does not want it any more; whatever is held for it is released."""
    return await _step(
        ctx, caller, once, need_id, lambda need: commands.end(need, State.CANCELLED, body.reason)
    )


@router.post("/needs/{need_id}:told")
async def told(
    need_id: UUID, ctx: Ctx, caller: Teller, once: Once, body: Nothing | None = None
) -> Response:
    """The person was told in person: the time to collect begins."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.tell(need, tx.now),
            caller.staff_id,
            visible=lambda need: caller.sees_sensitive or not need.sensitive,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:serve")
async def serve(need_id: UUID, body: ServeIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Record a service that takes nothing from stock, places or money, such as navigation.

    Of a kind whose start is to be confirmed this is the confirmation, after the appointment was
    kept. If it did not start, cancel the need with a reason, such as `not_started`.
    """
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        today = day_of(tx.now)
        if body.served_on is not None and body.served_on > today:
            raise invalid("body.served_on", "in_the_future")
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.serve(need, body.served_on or today),
            caller.staff_id,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:correct-payee")
async def correct_payee(
    need_id: UUID, body: Payee, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Have the person paid elsewhere: sealed to the paying office, and kept nowhere else.

    A payment that is not on a payment list yet takes the new details and is approved anew; one
    that is goes where the list says, and takes them if it comes back.
    """
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        outcome = await acting.correct_payee(tx, need_id, body, vault, caller.staff_id)
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:reverse")
async def reverse(need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Undo a service that intake itself recorded, or a start that was confirmed by mistake.

    Goods, appointments and money are undone where they went.
    """
    return await _step(
        ctx, caller, once, need_id, lambda need: commands.take_back(need, body.reason)
    )


@router.post("/needs/{need_id}:settle")
async def settle(
    need_id: UUID, body: SettleIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """A person looked at what a need asks attention for; the timeline keeps who, and how it ended.

    Undo the wrong service first, where it was given: `taken_back` alone changes no books.
    """
    return await _step(ctx, caller, once, need_id, lambda need: commands.settle(need, body.reason))


@router.post("/needs/{need_id}:move")
async def move(need_id: UUID, body: MoveIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Have it served elsewhere, such as a guest whom a full shelter sends on."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        outcome = await acting.move(
            tx, need_id, body.place_area, store.site(body.site_id), caller.staff_id
        )
        return await _answer(tx, once, outcome)


async def _step(
    ctx: Context, caller: Caller, once: Once, need_id: UUID, step: Callable[[Need], Decision]
) -> Response:
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(tx, [need_id], step, caller.staff_id)
        return await _answer(tx, once, outcome)


async def _answer(tx: Tx, once: Once, outcome: Outcome) -> Response:
    if outcome.need is None:
        raise not_found()
    if outcome.rule is not None:
        raise Problem(kind_of(outcome), rule=outcome.rule)
    need = outcome.need
    return await once.answer(
        tx,
        200,
        {
            "need_id": need.id,
            "state": need.state.value,
            "attempt_no": need.attempt_no,
            "version": need.version,
        },
    )
