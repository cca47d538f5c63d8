"""Whom requests are for: persons and households are found by their codes, or made."""

from collections.abc import Collection, Container, Mapping, Sequence
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
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import Locker, OpenVault

PERSON_CODE: Final = b"client-code"
HOUSEHOLD_CODE: Final = b"household-code"


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """Somebody whom nobody knew, as the first draft that names them says who they are."""

    row: PersonRow
    locker: Locker
    described: PersonDraft


@dataclass(frozen=True, slots=True)
class People:
    """The persons of a call, known and new.

    Attributes:
        person_of: whom drafts are for, by draft.
        newcomers: those of them who are new.
        lockers: of newcomers, by person.
        households: by the codes that drafts name.
    """

    person_of: Mapping[UUID, PersonRow]
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
        return self.person_of.get(draft.id)


async def find_or_make(tx: Tx, vault: OpenVault, drafts: Sequence[Draft]) -> People:
    """Find or make everyone; the first draft that names a new code says who they are.

    Someone who is known keeps what is known of them: a request never rewrites it. Of a household
    of which nothing but its code is said nobody is made: each request would add somebody to it.

    Raises:
        OtherHousehold: of drafts that name another household than their person's. Nothing was
            emitted yet, and the others can be taken in once what was written is undone.
        Problem: there is nobody of an id, or a person or household changed at this moment.
    """
    lookups = _lookups(vault, drafts)
    known, by_code = await _lock_known(
        tx,
        {each.person for each in drafts if isinstance(each.person, UUID)},
        list(lookups.values()),
    )
    found = _found(drafts, lookups, known, by_code)
    # Persons before households, as everyone locks them.
    homes = {person.household_id for person in found.values()}
    households = await _households(tx, vault, drafts, {each for each in homes if each is not None})
    newcomer_of = _newcomers(vault, drafts, lookups, found, households)
    registered = await _register(tx, newcomer_of)
    person_of = await _move_in(tx, drafts, found | registered, households)
    new = {
        each.row.id: each
        for draft_id, each in newcomer_of.items()
        if registered[draft_id].id == each.row.id
    }
    for newcomer in new.values():
        _emit_card(tx, vault, newcomer)
    lockers = {person_id: newcomer.locker for person_id, newcomer in new.items()}
    return People(person_of, frozenset(new), lockers, households)


def _lookups(vault: OpenVault, drafts: Sequence[Draft]) -> dict[UUID, bytes]:
    """What the codes of persons are found by, by draft."""
    return {
        draft.id: vault.lookup(draft.person.details.client_code.reveal(), PERSON_CODE)
        for draft in drafts
        if isinstance(draft.person, PersonDraft) and draft.person.details.client_code is not None
    }


def _found(
    drafts: Sequence[Draft],
    lookups: Mapping[UUID, bytes],
    known: Mapping[UUID, PersonRow],
    by_code: Mapping[bytes, PersonRow],
) -> dict[UUID, PersonRow]:
    """Whom drafts are for, of those who are known, by draft.

    Args:
        known, by_code: as of `_lock_known`.

    Raises:
        Problem: there is nobody of an id.
    """
    found: dict[UUID, PersonRow] = {}
    for draft in drafts:
        if isinstance(draft.person, UUID):
            person = known.get(draft.person)
            if person is None or person.erased_at is not None:
                raise Problem(NOT_FOUND, field="person_id")
            found[draft.id] = person
        elif draft.id in lookups and lookups[draft.id] in by_code:
            found[draft.id] = by_code[lookups[draft.id]]
    return found


def _newcomers(
    vault: OpenVault,
    drafts: Sequence[Draft],
    lookups: Mapping[UUID, bytes],
    found: Container[UUID],
    households: Mapping[str, UUID],
) -> dict[UUID, _Newcomer]:
    """Whom the other drafts describe, by draft: of one code it is one person.

    Args:
        found: drafts whose person is known.
    """
    newcomer_of: dict[UUID, _Newcomer] = {}
    by_code: dict[bytes, _Newcomer] = {}
    for draft in drafts:
        if draft.described is None or draft.id in found:
            continue
        lookup = lookups.get(draft.id)
        newcomer = None if lookup is None else by_code.get(lookup)
        if newcomer is None:
            newcomer = _new_person(vault, draft.described, lookup, households)
        if lookup is not None:
            by_code[lookup] = newcomer
        newcomer_of[draft.id] = newcomer
    return newcomer_of


async def _register(tx: Tx, newcomer_of: Mapping[UUID, _Newcomer]) -> dict[UUID, PersonRow]:
    """Write newcomers; returns who they are, by draft.

    Of a code that somebody else registered a moment ago, theirs is the record.

    Raises:
        Problem, asyncpg.LockNotAvailableError: as of `_lock_late`.
    """
    row_of = {each.row.id: each.row for each in newcomer_of.values()}
    taken = await person_store.insert(tx.conn, list(row_of.values()))
    if len(taken) < len(row_of):
        codes = {
            row.id: row.code_lookup
            for row in row_of.values()
            if row.id not in taken and row.code_lookup is not None
        }
        late = await _lock_late(tx, list(codes.values()))
        row_of |= {each: late[code] for each, code in codes.items()}
    return {draft_id: row_of[each.row.id] for draft_id, each in newcomer_of.items()}


async def _move_in(
    tx: Tx,
    drafts: Sequence[Draft],
    person_of: Mapping[UUID, PersonRow],
    households: Mapping[str, UUID],
) -> dict[UUID, PersonRow]:
    """Put persons who belong to no household into the one that drafts name.

    Returns:
        whom drafts are for, by draft, as they are now.

    Raises:
        OtherHousehold: of drafts that name another household than their person's.
    """
    home_of = {
        each.id: each.household_id for each in person_of.values() if each.household_id is not None
    }
    mentions = _mentions(drafts, person_of, households)
    behind = await household_store.behind(
        tx.conn,
        {
            each.person_id
            for each in mentions
            if each.person_id is not None
            and each.person_id not in home_of
            and each.named
            and not each.moves_in
        },
    )
    moved = moves(mentions, home_of, behind)
    await household_store.join(tx.conn, moved)
    return {
        draft_id: replace(each, household_id=moved[each.id]) if each.id in moved else each
        for draft_id, each in person_of.items()
    }


def _mentions(
    drafts: Sequence[Draft], person_of: Mapping[UUID, PersonRow], households: Mapping[str, UUID]
) -> list[Mention]:
    """What drafts say of households. Who is named by id only does not move in."""
    found: list[Mention] = []
    for draft in drafts:
        described = draft.person if isinstance(draft.person, PersonDraft) else None
        code = described.household_code if described else None
        named = (draft.household_id, households[code] if code else None)
        person = person_of.get(draft.id)
        found.append(
            Mention(
                draft.id,
                None if person is None else person.id,
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


async def _lock_late(tx: Tx, lookups: Sequence[bytes]) -> dict[bytes, PersonRow]:
    """Lock whom somebody else registered under these codes, without waiting: it is late for it.

    Raises:
        Problem: one of them was erased or merged already, or has another code.
        asyncpg.LockNotAvailableError: somebody holds one of them; the transaction is to be run
            again.
    """
    found = {
        lookup: person.id
        for lookup, person in (await person_store.by_codes(tx.conn, lookups)).items()
    }
    if len(found) < len(lookups):
        # Asked again, the code is free for somebody new.
        raise Problem(CONFLICT, field="client_code")
    locked = await person_store.lock_free(tx.conn, list(found.values()))
    if any(each.erased_at or each.merged_into for each in locked.values()):
        raise Problem(CONFLICT, field="client_code")
    return {lookup: locked[person_id] for lookup, person_id in found.items()}


def _new_person(
    vault: OpenVault,
    described: PersonDraft,
    lookup: bytes | None,
    households: Mapping[str, UUID],
) -> _Newcomer:
    person_id = uuid4()
    locker = vault.new_locker(person_id)
    row = PersonRow(
        id=person_id,
        code_lookup=lookup,
        details=vault.hide(locker, person_id, described.details),
        wrapped_key=locker.wrapped,
        languages=described.languages,
        area=described.area,
        origin_area=described.origin_area,
        household_id=households.get(described.household_code or ""),
        consents=described.consents or {},
        card_version=1 if described.details.contact else 0,
    )
    return _Newcomer(row, locker, described)


def _emit_card(tx: Tx, vault: OpenVault, newcomer: _Newcomer) -> None:
    row, contact = newcomer.row, newcomer.described.details.contact
    if row.card_version:
        card = card_of(row.id, row.card_version, contact, row.languages, row.consents)
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
    found = await household_store.by_codes(
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
    await household_store.lock(
        tx.conn,
        [home for draft in drafts if (home := people.household_of(draft)) is not None],
        [person.id for draft in drafts if (person := people.of(draft)) is not None],
    )
    stored = await household_store.keys(tx.conn, wanted)
    if len(stored) < len(set(wanted)):
        raise Problem(NOT_FOUND, field="household_id")
    new = {each: vault.new_household_locker(each) for each, key in stored.items() if key is None}
    if new:
        await household_store.set_keys(
            tx.conn, {each: locker.wrapped for each, locker in new.items()}
        )
    known: dict[UUID | None, Locker] = {
        each: vault.household_locker(each, key) for each, key in stored.items() if key is not None
    }
    return known | new
