"""Whom requests are for: persons and households are found by their codes, or made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import CONFLICT, NOT_FOUND, Problem
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import ContactSealedV1
from aidmesh_intake.domain.drafts import Draft, PersonDraft
from aidmesh_intake.domain.households import Mention, moves
from aidmesh_intake.domain.persons import card_of
from aidmesh_intake.handlers.locking import lock_persons
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import Locker, OpenVault

PERSON_CODE: Final = b"client-code"
HOUSEHOLD_CODE: Final = b"household-code"


@dataclass(frozen=True, slots=True)
class People:
    """The persons of a call, known and new."""

    by_id: Mapping[UUID, PersonRow]
    of_draft: Mapping[UUID, UUID]
    newcomers: frozenset[UUID]
    lockers: Mapping[UUID, Locker]
    households: Mapping[str, UUID]

    def household_of(self, draft: Draft) -> UUID | None:
        """The household of a draft, if there is one."""
        if draft.household_id is not None:
            return draft.household_id
        person = self.of(draft)
        if person is not None and person.household_id is not None:
            return person.household_id
        code = draft.person.household_code if isinstance(draft.person, PersonDraft) else None
        return self.households.get(code) if code is not None else None

    def of(self, draft: Draft) -> PersonRow | None:
        """The person of a draft, if there is one."""
        person_id = self.of_draft.get(draft.id)
        return None if person_id is None else self.by_id[person_id]


async def find_or_make(tx: Tx, vault: OpenVault, drafts: Sequence[Draft]) -> People:
    """Find or make everyone; the first draft that names a new code says who they are.

    Someone who is known keeps what is known of them: a request never rewrites it. Of a household
    of which nothing but its code is said nobody is made: each request would add somebody to it.

    Raises:
        OtherHousehold: of drafts that name another household than their person's. Nothing was
            emitted yet, and the others can be taken in once what was written is undone.
        Problem: there is nobody of an id, or a person or household changed at this moment.
    """
    lookups = {
        draft.id: vault.lookup(draft.person.details.client_code.reveal(), PERSON_CODE)
        for draft in drafts
        if isinstance(draft.person, PersonDraft) and draft.person.details.client_code is not None
    }
    known, by_code = await _lock_known(
        tx,
        {each.person for each in drafts if isinstance(each.person, UUID)},
        list(lookups.values()),
    )
    named = _named(drafts, known)
    of_draft = {draft_id: person.id for draft_id, person in named.items()}
    by_id = {person.id: person for person in named.values()}
    # Persons before households, as everyone locks them.
    homes = {person.household_id for person in (*by_id.values(), *by_code.values())}
    households = await _households(tx, vault, drafts, {each for each in homes if each is not None})
    made: dict[UUID, tuple[PersonRow, Locker, PersonDraft]] = {}
    made_by_code: dict[bytes, UUID] = {}
    for draft in drafts:
        if draft.described is None:
            continue
        lookup = lookups.get(draft.id)
        if lookup is not None and lookup in by_code:
            of_draft[draft.id] = by_code[lookup].id
            by_id[by_code[lookup].id] = by_code[lookup]
        elif lookup is not None and lookup in made_by_code:
            of_draft[draft.id] = made_by_code[lookup]
        else:
            row, locker = _new_person(vault, draft.described, lookup, households)
            made[row.id] = (row, locker, draft.described)
            of_draft[draft.id] = row.id
            if lookup is not None:
                made_by_code[lookup] = row.id
    taken = await person_store.insert(tx.conn, [row for row, _, _ in made.values()])
    if len(taken) < len(made):
        # Somebody else registered the same code a moment ago: theirs is the record.
        late = await _lock_late(tx, list(made_by_code), taken)
        for draft in drafts:
            lookup = lookups.get(draft.id)
            if lookup in late and of_draft[draft.id] not in taken:
                of_draft[draft.id] = late[lookup].id
                by_id[late[lookup].id] = late[lookup]
    by_id |= {person_id: made[person_id][0] for person_id in taken}
    moved = moves(
        _mentions(drafts, of_draft, households),
        {each.id: each.household_id for each in by_id.values() if each.household_id is not None},
    )
    for person_id, home in moved.items():
        by_id[person_id] = replace(by_id[person_id], household_id=home)
    await person_store.join_household(tx.conn, moved)
    for person_id in taken:
        row, _, person = made[person_id]
        _emit_card(tx, vault, row, person)
    lockers = {person_id: made[person_id][1] for person_id in taken}
    return People(by_id, of_draft, frozenset(taken), lockers, households)


def _named(drafts: Sequence[Draft], known: Mapping[UUID, PersonRow]) -> dict[UUID, PersonRow]:
    """Whom drafts name by id, by draft. Raises `Problem`: there is nobody of that id."""
    named: dict[UUID, PersonRow] = {}
    for draft in drafts:
        if isinstance(draft.person, UUID):
            found = known.get(draft.person)
            if found is None or found.erased_at is not None:
                raise Problem(NOT_FOUND, field="person_id")
            named[draft.id] = found
    return named


def _mentions(
    drafts: Sequence[Draft], of_draft: Mapping[UUID, UUID], households: Mapping[str, UUID]
) -> list[Mention]:
    """What drafts say of households. Who is named by id only does not move in."""
    found: list[Mention] = []
    for draft in drafts:
        described = draft.person if isinstance(draft.person, PersonDraft) else None
        code = described.household_code if described else None
        named = (draft.household_id, households[code] if code else None)
        found.append(
            Mention(
                draft.id,
                of_draft.get(draft.id),
                frozenset(each for each in named if each is not None),
                moves_in=described is not None,
            )
        )
    return found


async def _lock_known(
    tx: Tx, person_ids: Collection[UUID], lookups: Sequence[bytes]
) -> tuple[dict[UUID, PersonRow], dict[bytes, PersonRow]]:
    """Lock whom ids and codes stand for, all in one order.

    Two requests for one person at once must see each other, or both would pass a limit.

    Returns:
        The persons by id and by code, as they are now that they are locked: they may have moved
        out meanwhile.

    Raises:
        Problem: one of them was erased, merged or parted since they were found.
    """
    found = {
        lookup: person.id
        for lookup, person in (await person_store.by_codes(tx.conn, lookups)).items()
    }
    locked = await lock_persons(tx, person_ids, also=found.values())
    if not found:
        return locked, {}
    now = await person_store.by_codes(tx.conn, list(found))
    if {lookup: person.id for lookup, person in now.items()} != found:
        # Asked again, it is somebody new, or whoever stands for them now.
        raise Problem(CONFLICT, field="client_code")
    return locked, now


async def _lock_late(
    tx: Tx, lookups: Sequence[bytes], taken: Collection[UUID]
) -> dict[bytes, PersonRow]:
    """Lock whom somebody else registered under these codes, without waiting: it is late for it.

    Raises:
        Problem: one of them was erased or merged already.
        asyncpg.LockNotAvailableError: somebody holds one of them; the transaction is to be run
            again.
    """
    found = {
        lookup: person.id
        for lookup, person in (await person_store.by_codes(tx.conn, lookups)).items()
        if person.id not in taken
    }
    locked = await person_store.lock_free(tx.conn, list(found.values()))
    if any(each.erased_at or each.merged_into for each in locked.values()):
        raise Problem(CONFLICT, field="client_code")
    return {lookup: locked[person_id] for lookup, person_id in found.items()}


def _new_person(
    vault: OpenVault,
    draft: PersonDraft,
    lookup: bytes | None,
    households: Mapping[str, UUID],
) -> tuple[PersonRow, Locker]:
    person_id = uuid4()
    locker = vault.new_locker(person_id)
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
            consents=draft.consents or {},
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


async def _households(
    tx: Tx, vault: OpenVault, drafts: Sequence[Draft], homes: Collection[UUID]
) -> dict[str, UUID]:
    """Households by the codes that drafts name; new ones are made.

    Args:
        homes: of the persons that are known.
    """
    codes: dict[str, bytes] = {}
    areas: dict[bytes, str | None] = {}
    for draft in drafts:
        if isinstance(draft.person, PersonDraft) and draft.person.household_code:
            code = draft.person.household_code
            if code not in codes:
                codes[code] = vault.lookup(code, HOUSEHOLD_CODE)
                # Two spellings may be one code; who names it first says where it is.
                areas.setdefault(codes[code], draft.person.area)
    found = await person_store.households_by_codes(
        tx.conn, {lookup: uuid4() for lookup in codes.values()}, areas, homes
    )
    if found.keys() != set(codes.values()):
        # One of them was erased this very moment: asked again, its code is free for a new one.
        raise Problem(CONFLICT, field="household_code")
    return {code: found[lookup] for code, lookup in codes.items()}


async def household_lockers(
    tx: Tx, vault: OpenVault, drafts: Sequence[Draft], people: People
) -> dict[UUID | None, Locker]:
    """Keys of households that something is said of which is no one member's; made if need be.

    Raises:
        Problem: a household is not there, or was erased.
    """
    wanted = [
        household_id
        for draft in drafts
        if draft.has_reasons
        and people.of(draft) is None
        and (household_id := people.household_of(draft)) is not None
    ]
    if not wanted:
        return {}
    # All that this call may lock, at once: limits lock some of them too.
    await person_store.lock_households(
        tx.conn,
        [home for draft in drafts if (home := people.household_of(draft)) is not None],
        [person.id for draft in drafts if (person := people.of(draft)) is not None],
    )
    stored = await person_store.household_keys(tx.conn, wanted)
    if len(stored) < len(set(wanted)):
        raise Problem(NOT_FOUND, field="household_id")
    new = {each: vault.new_household_locker(each) for each, key in stored.items() if key is None}
    if new:
        await person_store.set_household_keys(
            tx.conn, {each: locker.wrapped for each, locker in new.items()}
        )
    known: dict[UUID | None, Locker] = {
        each: vault.household_locker(each, key) for each, key in stored.items() if key is not None
    }
    return known | new
