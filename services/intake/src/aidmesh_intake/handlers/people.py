"""Persons one by one: find and change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import CONFLICT, INVALID, NOT_FOUND, Problem
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import ContactSealedV1
from aidmesh_contracts.languages import language_to_write
from aidmesh_intake.domain.persons import Consents, Contact, Details, card_of
from aidmesh_intake.handlers.identifying import PERSON_CODE
from aidmesh_intake.handlers.locking import lock_persons
from aidmesh_intake.store import persons as store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import OpenVault

FINDS_THEM: Final = "finds_them_already"
"""The rule against a code of a record behind: it stays with that one, and finds them by it."""
OF_SOMEBODY_ELSE: Final = "of_somebody_else"
"""The rule against the code of a person who is another, as far as is known."""


async def load(tx: Tx, person_id: UUID) -> PersonRow:
    """A person who is there and not erased, without locking; who was merged gives whom into.

    Raises:
        Problem: there is no such person.
    """
    found = (await store.by_ids(tx.conn, [person_id])).get(person_id)
    if found is not None and found.merged_into is not None:
        return await load(tx, found.merged_into)
    return _there(found)


async def was_erased(tx: Tx, person_id: UUID) -> bool:
    """Whether there was such a person, or whoever they were merged into, and they were erased."""
    found = (await store.by_ids(tx.conn, [person_id])).get(person_id)
    if found is not None and found.merged_into is not None:
        return await was_erased(tx, found.merged_into)
    return found is not None and found.erased_at is not None


async def lock(tx: Tx, person_id: UUID) -> PersonRow:
    """The same, locked.

    Raises:
        Problem: there is no such person, or they were merged or parted at this moment.
    """
    return _there((await lock_persons(tx, [person_id])).get(person_id))


async def lock_many(tx: Tx, person_ids: Sequence[UUID]) -> dict[UUID, PersonRow]:
    """Lock persons in one order, whatever became of them."""
    return await store.by_ids(tx.conn, person_ids, lock=True)


def _there(person: PersonRow | None) -> PersonRow:
    if person is None or person.erased_at is not None:
        raise Problem(NOT_FOUND)
    return person


async def lock_whole(tx: Tx, person_ids: Sequence[UUID]) -> dict[UUID, PersonRow]:
    """Lock persons with the records merged into them, all in one order; returns all of these.

    Raises:
        Problem: others were merged into them, or parted from them, at this moment.
    """
    behind = await store.merged_into(tx.conn, person_ids)
    found = await store.by_ids(tx.conn, [*person_ids, *behind], lock=True)
    if await store.merged_into(tx.conn, person_ids) != behind:
        raise Problem(CONFLICT)
    return found


async def change(
    tx: Tx,
    vault: OpenVault,
    person_id: UUID,
    version: int,
    details: Details,
    languages: tuple[str, ...],
    area: str | None,
    origin_area: str | None,
    consents: Consents,
) -> PersonRow:
    """Write a person anew and, if their contact or consent changed, seal a new card.

    What another region called them stays as it is.

    Args:
        version: the one that was looked at; never does the last writer win silently.

    Raises:
        Problem: someone else changed them first, another record stands for them now, or another
            record has the code.
    """
    person = await lock(tx, person_id)
    # Records that nobody changed are of one version: a page of the one behind says nothing of this.
    if person.id != person_id or person.version != version:
        raise Problem(CONFLICT)
    lookup = None
    if details.client_code is not None:
        lookup = vault.lookup(details.client_code.reveal(), PERSON_CODE)
        _refuse_taken(await store.of_code(tx.conn, lookup), person.id)
    assert person.wrapped_key is not None  # noqa: S101 - only erasure takes it
    assert person.details is not None  # noqa: S101
    locker = vault.locker(person.id, person.wrapped_key)
    before = vault.show(locker, person.id, person.details)
    details = details.model_copy(update={"code_elsewhere": before.code_elsewhere})
    is_written_otherwise = language_to_write(languages) != language_to_write(person.languages)
    seal_anew = (
        details.contact != before.contact
        or consents.get("contact") != person.consents.get("contact")
        or (details.contact is not None and is_written_otherwise)
    )
    after = replace(
        person,
        code_lookup=lookup,
        details=vault.hide(locker, person.id, details),
        languages=languages,
        area=area,
        origin_area=origin_area,
        consents=consents,
        card_version=person.card_version + 1 if seal_anew else person.card_version,
        version=person.version + 1,
    )
    try:
        await store.update(tx.conn, after)
    except asyncpg.UniqueViolationError:
        # Somebody was given the code since it was looked for.
        raise _of_code(OF_SOMEBODY_ELSE) from None
    if seal_anew:
        _tell_card(tx, vault, after, details.contact)
    return after


def _tell_card(tx: Tx, vault: OpenVault, person: PersonRow, contact: Contact | None) -> None:
    card = card_of(person.id, person.card_version, contact, person.languages, person.consents)
    tx.emit(
        ContactSealedV1(
            person_id=PersonId(person.id),
            version=person.card_version,
            sealed=vault.seal_card(card),
        )
    )


def _refuse_taken(holder: PersonRow | None, person_id: UUID) -> None:
    """Refuse a code that another record has; of whose it is nothing is told.

    Raises:
        Problem: a record merged into this one has it, or somebody else's.
    """
    if holder is not None and holder.id != person_id:
        raise _of_code(FINDS_THEM if holder.merged_into == person_id else OF_SOMEBODY_ELSE)


def _of_code(rule: str) -> Problem:
    return Problem(INVALID, errors=[{"field": "body.client_code", "rule": rule}])
