"""What staff do to needs: one or many at a time, each on its own merits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Tx
from aidmesh_contracts.accounts import is_sent
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import PayeeRef, SiteId
from aidmesh_contracts.intake import PayeeSealedV1
from aidmesh_contracts.values import Area
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.kinds import Kind
from aidmesh_intake.domain.limits import Hindrance, Override
from aidmesh_intake.domain.need import Decision, Need, NotAllowed, State, Wait
from aidmesh_intake.domain.persons import Payee
from aidmesh_intake.domain.waitlist import queue_behind
from aidmesh_intake.handlers import approving
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.locking import lock_needs, lock_whom
from aidmesh_intake.store import needs as store
from aidmesh_intake.store import requests as request_store
from aidmesh_intake.store import timeline
from aidmesh_intake.vault import OpenVault


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row; `rule` says why nothing did.

    Attributes:
        missing: there is no such need.
        hindered: a limit or a duplicate speaks against it.
        own: and who would override it entered the request themselves.
    """

    need: Need | None
    rule: str | None = None
    missing: bool = False
    hindered: bool = False
    own: bool = False


async def act(
    tx: Tx,
    need_ids: Sequence[UUID],
    step: Callable[[Need], Decision],
    staff_id: UUID,
    *,
    visible: Callable[[Need], bool] = lambda _: True,
) -> list[Outcome]:
    """Take one step with each of some needs.

    Args:
        step: raises `NotAllowed` where a need's state does not allow it.
        visible: needs that the caller may see; others are not there.
    """
    needs = await lock_needs(tx, need_ids)
    outcomes: list[Outcome] = []
    changes: list[Change] = []
    for need_id in need_ids:
        need = needs.get(need_id)
        if need is None or not visible(need):
            outcomes.append(Outcome(None, missing=True))
            continue
        try:
            decision = step(need)
        except NotAllowed as error:
            outcomes.append(Outcome(need, rule=error.rule))
            continue
        needs[need_id] = decision.need
        changes.append(Change(need, decision))
        outcomes.append(Outcome(decision.need))
    await apply(tx, changes, staff_id)
    return outcomes


async def correct_payee(
    tx: Tx, need_id: UUID, payee: Payee, vault: OpenVault, staff_id: UUID
) -> Outcome:
    """Seal new payee details of a need to the paying office, in place of the old."""
    payee_ref = PayeeRef(uuid4())
    before = (await lock_needs(tx, [need_id])).get(need_id)
    sent = is_sent(payee.mechanism)
    (outcome,) = await act(
        tx, [need_id], lambda need: commands.correct_payee(need, payee_ref, sent=sent), staff_id
    )
    need = outcome.need
    if before is None or need is None or outcome.rule is not None:
        return outcome
    await store.set_payee(tx.conn, need)
    if before.payee_ref is not None:
        await outbox.withdraw_sealed(tx.conn, [before.payee_ref])
    tx.emit(
        PayeeSealedV1(
            payee_ref=payee_ref,
            need_id=need.id,
            mechanism=payee.mechanism,
            sealed=vault.seal_payee(payee, need.id, payee_ref),
            version=need.version,
            replaces=before.payee_ref,
            sealed_by=staff_id,
        )
    )
    return outcome


async def move(
    tx: Tx, need_id: UUID, area: Area, site_id: SiteId | None, staff_id: UUID
) -> Outcome:
    """Have a need served elsewhere; it queues there with its age if others wait before it."""
    need = (await lock_needs(tx, [need_id])).get(need_id)
    if need is None:
        return Outcome(None, missing=True)
    there = replace(need, place_area=area, site_id=site_id)
    queues = await approving.queues_of(tx, [there], apart_from=need.id)
    try:
        behind = queue_behind(there, queues, day_of(tx.now))
        decision = commands.move(need, tx.now, area, site_id, behind=behind)
    except NotAllowed as error:
        return Outcome(need, rule=error.rule)
    # First where it goes: what its leaving frees may wake it there at once.
    await store.save_terms(tx.conn, [decision.need])
    await apply(tx, [Change(need, decision)], staff_id)
    return Outcome(decision.need)


def _was_let_pass(need: Need) -> bool:
    """Whether it was approved before: whoever waits was, if only as a part of another need."""
    return need.attempt_no > 0 or need.state is State.WAITLISTED


async def approve(
    tx: Tx,
    need_ids: Sequence[UUID],
    kinds: Mapping[str, Kind],
    staff_id: UUID,
    *,
    override: Override | None = None,
) -> list[Outcome]:
    """Approve needs, unless a limit or a duplicate speaks against it.

    Args:
        override: a person answers for what limits and duplicates say; the reason is kept in the
            timeline of each need that it let pass.
    """
    await lock_whom(tx, need_ids)
    needs = await lock_needs(tx, need_ids)
    open_needs = [
        need
        for need in needs.values()
        if need.state in (State.REQUESTED, State.WAITLISTED) and need.wait is not Wait.OFFERED
    ]
    overridden = await _overridden(tx, open_needs, override)
    verdicts = await approving.decide(
        tx,
        open_needs,
        kinds,
        unchecked={need.id for need in open_needs if _was_let_pass(need)},
        overridden=overridden,
    )
    found: dict[UUID, Outcome] = {}
    changes: list[Change] = []
    for need, verdict in zip(open_needs, verdicts, strict=True):
        if isinstance(verdict, Hindrance):
            found[need.id] = Outcome(
                need, rule=verdict.value, hindered=True, own=override is not None
            )
        else:
            changes.append(Change(need, verdict))
            found[need.id] = Outcome(verdict.need)
    await apply(tx, changes, staff_id)
    if override is not None:
        await timeline.note_overrides(
            tx.conn,
            [
                (each.decision.need, each.decision.despite)
                for each in changes
                if each.decision.despite is not None and each.decision.need is not each.before
            ],
            override.reason,
        )
    return [
        found.get(need_id)
        or (
            Outcome(needs[need_id], rule="not_waiting_for_approval")
            if need_id in needs
            else Outcome(None, missing=True)
        )
        for need_id in need_ids
    ]


async def _overridden(tx: Tx, needs: Sequence[Need], override: Override | None) -> set[UUID]:
    """Those of these needs that somebody may let pass whatever speaks against it."""
    if override is None:
        return set()
    caseworkers = await request_store.caseworkers(tx.conn, [need.request_id for need in needs])
    return {need.id for need in needs if override.allowed(caseworkers[need.request_id])}
