"""Requests come in, one or a thousand at a time: persons, requests, needs, and first approvals.

All of a call's rows are written by one statement per table, whatever their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.accounts import is_sent
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    HouseholdId,
    NeedId,
    PersonId,
    RequestId,
    SiteId,
)
from aidmesh_contracts.intake import PayeeSealedV1
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.asks import approves_itself
from aidmesh_intake.domain.drafts import Draft, NeedDraft, PersonDraft
from aidmesh_intake.domain.households import OtherHousehold
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.limits import Hindrance
from aidmesh_intake.domain.need import Need
from aidmesh_intake.domain.persons import payee_ref_of
from aidmesh_intake.domain.triage import Score, score
from aidmesh_intake.handlers import approving, telling
from aidmesh_intake.handlers.identifying import find_or_make, household_lockers
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import requests as request_store
from aidmesh_intake.store import timeline
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import Locker, OpenVault


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a draft."""

    request_id: UUID
    person_id: UUID | None
    needs: tuple[Need, ...]


class _Given(NamedTuple):
    """When something was given, and who says so."""

    on: date
    entered_by: UUID | None


async def register(
    tx: Tx, vault: OpenVault, kinds: Mapping[str, Kind], drafts: Sequence[Draft]
) -> list[Registered]:
    """Take in requests; needs that the catalogue lets pass are approved at once.

    Raises:
        OtherHousehold: of drafts that name another household than their person's; as of
            `find_or_make`.
        Problem: a person or household named by id is not there.
    """
    if not drafts:
        return []
    people = await find_or_make(tx, vault, drafts)
    homes = await household_lockers(tx, vault, drafts, people)
    lockers: dict[UUID, Locker] = {}
    requests: list[request_store.RequestRow] = []
    needs: list[Need] = []
    given: dict[UUID, _Given] = {}
    queue_no = iter(await need_store.queue_numbers(tx.conn, sum(len(d.needs) for d in drafts)))
    for draft in drafts:
        person = people.of(draft)
        household_id = people.household_of(draft)
        points = {need.id: score(need.kind.base_points, draft.answers) for need in draft.needs}
        home = homes.get(household_id)
        sealed = _sealed_reasons(vault, draft, person, people.lockers, lockers, home)
        requests.append(_request(draft, person, household_id, sealed))
        for each in draft.needs:
            need = _need(draft, each, person, household_id, points[each.id], next(queue_no))
            needs.append(need)
            if each.given_on is not None:
                given[need.id] = _Given(each.given_on, draft.caseworker)
            _tell_payee(tx, vault, each, need, draft.caseworker)
    needs = await _with_members(tx, needs)
    decided = await _decide(tx, kinds, needs, given, people.newcomers)
    await request_store.insert(tx.conn, requests)
    await need_store.insert(tx.conn, [need for need, _, _ in decided])
    await timeline.add(
        tx.conn,
        [(need, note) for need, _, note in decided],
        tx.now,
        drafts[0].caseworker,
    )
    for _, events, _ in decided:
        for event in events:
            tx.emit(event)
    telling.tell(tx, [(None, need, note) for need, _, note in decided])
    by_id = {need.id: need for need, _, _ in decided}
    return [
        Registered(
            draft.id,
            request.person_id,
            tuple(by_id[NeedId(each.id)] for each in draft.needs),
        )
        for draft, request in zip(drafts, requests, strict=True)
    ]


async def register_fitting(
    tx: Tx, vault: OpenVault, kinds: Mapping[str, Kind], drafts: Sequence[Draft]
) -> tuple[list[Registered], frozenset[UUID]]:
    """Take in requests, but none that names another household than its person's.

    Returns:
        what became of the others, and the drafts that were left out.

    Raises:
        Problem: as of `register`.
    """
    contrary: frozenset[UUID] = frozenset()
    while True:
        try:
            # What was made for those alone that are left out, such as a household, is undone.
            async with tx.conn.transaction():
                return await register(tx, vault, kinds, drafts), contrary
        except OtherHousehold as error:
            contrary |= error.draft_ids
            drafts = [draft for draft in drafts if draft.id not in contrary]


def _tell_payee(tx: Tx, vault: OpenVault, draft: NeedDraft, need: Need, by: UUID | None) -> None:
    """Seal who is paid, if anybody is, to the paying office."""
    if draft.payee is not None and need.payee_ref is not None:
        tx.emit(
            PayeeSealedV1(
                payee_ref=need.payee_ref,
                need_id=need.id,
                mechanism=draft.payee.mechanism,
                sealed=vault.seal_payee(draft.payee, need.id, need.payee_ref),
                sealed_by=by,
            )
        )


async def _decide(
    tx: Tx,
    kinds: Mapping[str, Kind],
    needs: Sequence[Need],
    given: Mapping[UUID, _Given],
    newcomers: frozenset[UUID],
) -> list[tuple[Need, tuple[Event, ...], str]]:
    """Facts are recorded, what the rule lets pass is approved, the rest waits for a person."""
    facts: dict[UUID, tuple[Need, tuple[Event, ...]]] = {}
    by_rule: list[Need] = []
    for need in needs:
        kind = kinds[need.kind]
        if need.id in given:
            minutes = None if kind.capacity is None else kind.capacity.minutes
            fact = given[need.id]
            facts[need.id] = commands.give(need, fact.on, minutes, by=fact.entered_by)
        elif approves_itself(kind, need.quantity, need.ask):
            by_rule.append(need)
    verdicts = (
        await approving.decide(
            tx, by_rule, kinds, newcomers=newcomers, facts=[fact for fact, _ in facts.values()]
        )
        if by_rule
        else []
    )
    verdict_of = {need.id: verdict for need, verdict in zip(by_rule, verdicts, strict=True)}
    decided: list[tuple[Need, tuple[Event, ...], str]] = []
    for need in needs:
        if need.id in facts:
            decided.append((*facts[need.id], "given"))
            continue
        verdict = verdict_of.get(need.id)
        if verdict is None:
            decided.append((need, (), "requested"))
        elif isinstance(verdict, Hindrance):
            decided.append((replace(need, reason=verdict.value), (), "requested"))
        else:
            decided.append((verdict.need, verdict.events, verdict.note))
    return decided


def _need(
    draft: Draft,
    each: NeedDraft,
    person: PersonRow | None,
    household_id: UUID | None,
    found: Score,
    queue_no: int,
) -> Need:
    kind = each.kind
    payee_ref = None if each.payee is None else payee_ref_of(each.id)
    # Of a household that nobody asks for by name, what was said of it.
    stays = person or (draft.person if isinstance(draft.person, PersonDraft) else None)
    return Need(
        id=NeedId(each.id),
        request_id=RequestId(draft.id),
        kind=kind.code,
        programme=kind.programme,
        sensitive=kind.sensitive,
        for_whom=draft.for_whom,
        person_id=None if person is None else PersonId(person.id),
        household_id=None if household_id is None else HouseholdId(household_id),
        members=(),
        headcount=each.headcount,
        quantity=each.quantity,
        unit=kind.unit,
        asked_on=draft.asked_on,
        queue_no=queue_no,
        planned_on=each.planned_on,
        planned_as=each.planned_as,
        needed_by=each.needed_by,
        needed_until=each.needed_until,
        priority=found.points,
        rule_version=found.rule_version,
        place_area=each.place_area,
        stay_area=stays.area if stays else None,
        origin_area=stays.origin_area if stays else None,
        site_id=None if each.site_id is None else SiteId(each.site_id),
        ask=each.ask,
        payee_ref=payee_ref,
        sent=None if each.payee is None else is_sent(each.payee.mechanism),
        hold_s=kind.hold_s,
        collect_days=kind.collect_days,
        splittable=kind.splittable and each.quantity > 1,
        to_site_id=SiteId(draft.site_id)
        if draft.for_whom is ForWhom.SITE and draft.site_id is not None
        else None,
        confirmed_start=kind.confirmed_start,
    )


async def _with_members(tx: Tx, needs: list[Need]) -> list[Need]:
    """Aid given to a household is reported at once, with everyone who belongs to it."""
    households = [
        need.household_id
        for need in needs
        if need.for_whom is ForWhom.HOUSEHOLD and need.household_id is not None
    ]
    found = await household_store.members(tx.conn, households)
    if not found:
        return needs
    return [
        replace(need, members=tuple(PersonId(each) for each in found[need.household_id]))
        if need.for_whom is ForWhom.HOUSEHOLD and need.household_id in found
        else need
        for need in needs
    ]


def _request(
    draft: Draft, person: PersonRow | None, household_id: UUID | None, sealed: bytes | None
) -> request_store.RequestRow:
    return request_store.RequestRow(
        draft.id,
        draft.for_whom.value,
        None if person is None else person.id,
        household_id,
        draft.site_id,
        draft.source,
        draft.asked_on,
        draft.caseworker,
        sealed,
    )


def _sealed_reasons(
    vault: OpenVault,
    draft: Draft,
    person: PersonRow | None,
    new: Mapping[UUID, Locker],
    opened: dict[UUID, Locker],
    home: Locker | None,
) -> bytes | None:
    if not draft.has_reasons:
        return None
    locker = home
    if person is not None:
        locker = new.get(person.id) or opened.get(person.id)
        if locker is None and person.wrapped_key is not None:
            locker = opened[person.id] = vault.locker(person.id, person.wrapped_key)
    reasons: dict[str, object] = {"answers": dict(draft.answers)}
    if draft.note is not None:
        reasons["note"] = draft.note
    return vault.hide_reasons(locker, draft.id, reasons)
