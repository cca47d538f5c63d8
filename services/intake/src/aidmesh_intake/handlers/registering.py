"""Requests come in, one or a thousand at a time: persons, requests, needs, and first approvals.

All of a call's rows are written by one statement per table, whatever their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    HouseholdId,
    NeedId,
    PayeeRef,
    PersonId,
    RequestId,
    SiteId,
    derive_id,
)
from aidmesh_contracts.intake import ContactSealedV1, PayeeSealedV1
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.kinds import Ask, ForWhom, Kind, approves_itself
from aidmesh_intake.domain.limits import Hindrance
from aidmesh_intake.domain.need import Need
from aidmesh_intake.domain.persons import Consents, Details, Payee, card_of, with_contact_consent
from aidmesh_intake.domain.triage import Score, score
from aidmesh_intake.handlers import approving
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store import requests as request_store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import Locker, OpenVault

PERSON_CODE: Final = b"client-code"
HOUSEHOLD_CODE: Final = b"household-code"


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """Someone a request is for: found by code if they are known, else made."""

    details: Details
    languages: tuple[str, ...] = ()
    area: str | None = None
    origin_area: str | None = None
    household_code: str | None = None
    consents: Consents | None = None


@dataclass(frozen=True, slots=True)
class NeedDraft:
    """One need of a request, checked against its kind."""

    id: UUID
    kind: Kind
    quantity: int
    ask: Ask
    planned_on: date
    needed_by: date | None
    place_area: str
    site_id: UUID | None
    payee: Payee | None = None
    headcount: int | None = None
    given_on: date | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it was asked for.

    Attributes:
        person: one who is registered, someone to be found or made, or None.
        answers: of triage.
    """

    id: UUID
    for_whom: ForWhom
    person: UUID | PersonDraft | None
    household_id: UUID | None
    site_id: UUID | None
    source: str
    asked_on: date
    caseworker: UUID | None
    needs: tuple[NeedDraft, ...]
    answers: Mapping[str, bool]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a draft."""

    request_id: UUID
    person_id: UUID | None
    needs: tuple[Need, ...]


async def register(
    tx: Tx, vault: OpenVault, kinds: Mapping[str, Kind], drafts: Sequence[Draft]
) -> list[Registered]:
    """Take in requests; needs that the catalogue lets pass are approved at once.

    Raises:
        Problem: a person or household named by id is not there.
    """
    if not drafts:
        return []
    people = await _people(tx, vault, drafts)
    lockers: dict[UUID, Locker] = {}
    requests: list[request_store.RequestRow] = []
    needs: list[Need] = []
    given: dict[UUID, date] = {}
    queue_no = iter(await need_store.queue_numbers(tx.conn, sum(len(d.needs) for d in drafts)))
    for draft in drafts:
        person = people.of(draft)
        household_id = people.household_of(draft)
        points = {need.id: score(need.kind.base_points, draft.answers) for need in draft.needs}
        requests.append(
            request_store.RequestRow(
                draft.id,
                draft.for_whom.value,
                None if person is None else person.id,
                household_id,
                draft.site_id,
                draft.source,
                draft.asked_on,
                draft.caseworker,
                _sealed_reasons(vault, draft, person, people.lockers, lockers),
            )
        )
        for each in draft.needs:
            need = _need(draft, each, person, household_id, points[each.id], next(queue_no))
            needs.append(need)
            if each.given_on is not None:
                given[need.id] = each.given_on
            if each.payee is not None and need.payee_ref is not None:
                tx.emit(
                    PayeeSealedV1(
                        payee_ref=need.payee_ref,
                        need_id=need.id,
                        mechanism=each.payee.mechanism,
                        sealed=vault.seal_payee(each.payee, need.id, need.payee_ref),
                    )
                )
    needs = await _with_members(tx, needs)
    decided = await _decide(tx, kinds, needs, given, people.newcomers)
    await request_store.insert(tx.conn, requests)
    await need_store.insert(tx.conn, [need for need, _, _ in decided])
    await need_store.log_events(
        tx.conn,
        [(need, note) for need, _, note in decided],
        tx.now,
        drafts[0].caseworker,
    )
    for _, events, _ in decided:
        for event in events:
            tx.emit(event)
    by_id = {need.id: need for need, _, _ in decided}
    return [
        Registered(
            draft.id,
            request.person_id,
            tuple(by_id[NeedId(each.id)] for each in draft.needs),
        )
        for draft, request in zip(drafts, requests, strict=True)
    ]


async def _decide(
    tx: Tx,
    kinds: Mapping[str, Kind],
    needs: Sequence[Need],
    given: Mapping[UUID, date],
    newcomers: frozenset[UUID],
) -> list[tuple[Need, tuple[Event, ...], str]]:
    """Facts are recorded, what the rule lets pass is approved, the rest waits for a person."""
    facts: dict[UUID, tuple[Need, tuple[Event, ...]]] = {}
    by_rule: list[Need] = []
    for need in needs:
        kind = kinds[need.kind]
        if need.id in given:
            minutes = None if kind.capacity is None else kind.capacity.minutes
            facts[need.id] = commands.give(need, given[need.id], minutes)
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
    payee_ref = None if each.payee is None else PayeeRef(derive_id("payee", each.id))
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
        needed_by=each.needed_by,
        priority=found.points,
        rule_version=found.rule_version,
        place_area=each.place_area,
        stay_area=person.area if person else None,
        origin_area=person.origin_area if person else None,
        site_id=None if each.site_id is None else SiteId(each.site_id),
        ask=each.ask,
        payee_ref=payee_ref,
        hold_s=kind.hold_s,
        collect_days=kind.collect_days,
        splittable=kind.splittable and each.quantity > 1,
    )


async def _with_members(tx: Tx, needs: list[Need]) -> list[Need]:
    """Aid given to a household is reported at once, with everyone who belongs to it."""
    households = [
        need.household_id
        for need in needs
        if need.for_whom is ForWhom.HOUSEHOLD and need.household_id is not None
    ]
    found = await person_store.members(tx.conn, households)
    if not found:
        return needs
    return [
        replace(need, members=tuple(PersonId(each) for each in found[need.household_id]))
        if need.for_whom is ForWhom.HOUSEHOLD and need.household_id in found
        else need
        for need in needs
    ]


@dataclass(frozen=True, slots=True)
class _People:
    """The persons of a call, known and new."""

    by_id: Mapping[UUID, PersonRow]
    of_draft: Mapping[UUID, UUID]
    newcomers: frozenset[UUID]
    lockers: Mapping[UUID, Locker]
    households: Mapping[str, UUID]

    def household_of(self, draft: Draft) -> UUID | None:
        if draft.household_id is not None:
            return draft.household_id
        person = self.of(draft)
        if person is not None and person.household_id is not None:
            return person.household_id
        code = draft.person.household_code if isinstance(draft.person, PersonDraft) else None
        return self.households.get(code) if code is not None else None

    def of(self, draft: Draft) -> PersonRow | None:
        person_id = self.of_draft.get(draft.id)
        return None if person_id is None else self.by_id[person_id]


async def _people(tx: Tx, vault: OpenVault, drafts: Sequence[Draft]) -> _People:
    """Find or make everyone; the first draft that names a new code says who they are.

    Someone who is known keeps what is known of them: a request never rewrites it.
    """
    known = await person_store.by_ids(
        tx.conn, [each.person for each in drafts if isinstance(each.person, UUID)], lock=True
    )
    of_draft: dict[UUID, UUID] = {}
    lookups: dict[UUID, bytes] = {}
    for draft in drafts:
        if isinstance(draft.person, UUID):
            found = known.get(draft.person)
            if found is None or found.erased_at is not None:
                raise Problem(NOT_FOUND, field="person_id")
            of_draft[draft.id] = found.merged_into or found.id
        elif draft.person is not None and draft.person.details.client_code is not None:
            code = draft.person.details.client_code.reveal()
            lookups[draft.id] = vault.lookup(code, PERSON_CODE)
    roots = [found.merged_into for found in known.values() if found.merged_into is not None]
    by_id = {**known, **await person_store.by_ids(tx.conn, roots)} if roots else dict(known)
    by_code = await person_store.by_codes(tx.conn, list(lookups.values()))
    households = await _households(tx, vault, drafts)
    made: dict[UUID, tuple[PersonRow, Locker, PersonDraft]] = {}
    made_by_code: dict[bytes, UUID] = {}
    for draft in drafts:
        if not isinstance(draft.person, PersonDraft):
            continue
        lookup = lookups.get(draft.id)
        if lookup is not None and lookup in by_code:
            of_draft[draft.id] = by_code[lookup].id
            by_id[by_code[lookup].id] = by_code[lookup]
        elif lookup is not None and lookup in made_by_code:
            of_draft[draft.id] = made_by_code[lookup]
        else:
            row, locker = _new_person(vault, draft.person, lookup, draft.asked_on, households)
            made[row.id] = (row, locker, draft.person)
            of_draft[draft.id] = row.id
            if lookup is not None:
                made_by_code[lookup] = row.id
    taken = await person_store.insert(tx.conn, [row for row, _, _ in made.values()])
    if len(taken) < len(made):
        # Somebody else registered the same code a moment ago: theirs is the record.
        late = await person_store.by_codes(tx.conn, list(made_by_code))
        for draft in drafts:
            lookup = lookups.get(draft.id)
            if lookup in late and of_draft[draft.id] not in taken:
                of_draft[draft.id] = late[lookup].id
                by_id[late[lookup].id] = late[lookup]
    for person_id in taken:
        row, _, person = made[person_id]
        by_id[person_id] = row
        _emit_card(tx, vault, row, person)
    lockers = {person_id: made[person_id][1] for person_id in taken}
    await _lock_for_limits(tx, of_draft, lockers)
    people = _People(by_id, of_draft, frozenset(taken), lockers, households)
    joining = {
        of_draft[draft.id]: household_id
        for draft in drafts
        if draft.id in of_draft
        and of_draft[draft.id] not in taken
        and by_id[of_draft[draft.id]].household_id is None
        and isinstance(draft.person, PersonDraft)
        and (household_id := people.household_of(draft)) is not None
    }
    await person_store.join_household(tx.conn, joining)
    return people


async def _lock_for_limits(
    tx: Tx, of_draft: Mapping[UUID, UUID], new: Mapping[UUID, Locker]
) -> None:
    """Two requests for one person at once must see each other, or both would pass a limit."""
    known = [each for each in of_draft.values() if each not in new]
    if known:
        await person_store.by_ids(tx.conn, known, lock=True)


def _new_person(
    vault: OpenVault,
    draft: PersonDraft,
    lookup: bytes | None,
    day: date,
    households: Mapping[str, UUID],
) -> tuple[PersonRow, Locker]:
    person_id = uuid4()
    locker = vault.new_locker(person_id)
    consents = with_contact_consent(draft.consents or {}, draft.details.contact, day)
    return (
        PersonRow(
            id=person_id,
            code_lookup=lookup,
            details=vault.hide(locker, person_id, draft.details),
            wrapped_key=locker.wrapped,
            languages=draft.languages,
            area=draft.area,
            origin_area=draft.origin_area,
            household_id=households.get(draft.household_code or ""),
            consents=consents,
            card_version=1 if draft.details.contact else 0,
        ),
        locker,
    )


def _emit_card(tx: Tx, vault: OpenVault, row: PersonRow, draft: PersonDraft) -> None:
    if row.card_version:
        card = card_of(row.id, row.card_version, draft.details.contact, row.languages, row.consents)
        tx.emit(
            ContactSealedV1(
                person_id=PersonId(row.id), version=row.card_version, sealed=vault.seal_card(card)
            )
        )


async def _households(tx: Tx, vault: OpenVault, drafts: Sequence[Draft]) -> dict[str, UUID]:
    """Households by the codes that drafts name; new ones are made."""
    codes: dict[str, bytes] = {}
    areas: dict[bytes, str | None] = {}
    for draft in drafts:
        if isinstance(draft.person, PersonDraft) and draft.person.household_code:
            code = draft.person.household_code
            if code not in codes:
                codes[code] = vault.lookup(code, HOUSEHOLD_CODE)
                areas[codes[code]] = draft.person.area
    found = await person_store.households_by_codes(
        tx.conn, {lookup: uuid4() for lookup in codes.values()}, areas
    )
    return {code: found[lookup] for code, lookup in codes.items()}


def _sealed_reasons(
    vault: OpenVault,
    draft: Draft,
    person: PersonRow | None,
    new: Mapping[UUID, Locker],
    opened: dict[UUID, Locker],
) -> bytes | None:
    if not draft.answers and draft.note is None:
        return None
    locker: Locker | None = None
    if person is not None:
        locker = new.get(person.id) or opened.get(person.id)
        if locker is None and person.wrapped_key is not None:
            locker = opened[person.id] = vault.locker(person.id, person.wrapped_key)
    reasons: dict[str, object] = {"answers": dict(draft.answers)}
    if draft.note is not None:
        reasons["note"] = draft.note
    return vault.hide_reasons(locker, draft.id, reasons)
