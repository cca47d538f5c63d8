"""Erasing persons and households: their keys go, and everyone who holds something is told."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Tx
from aidmesh_chassis.erasures import Journal
from aidmesh_chassis.problems import CONFLICT, NOT_FOUND, Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, PayeeRef, PersonId
from aidmesh_contracts.intake import PayeeErasedV1, PersonErasedV1
from aidmesh_contracts.retention import payment_kept_until
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import State
from aidmesh_intake.domain.persons import payee_ref_of
from aidmesh_intake.domain.steps import PERSON_ERASED
from aidmesh_intake.handlers import acting, looking, people, referring
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import erasing as store
from aidmesh_intake.store.persons import PersonRow


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure left behind.

    Attributes:
        households: those that were erased with it, since nobody belonged to them any more.
        payments_kept_until: the legal date until which payments that were made stay on record
            with whom they went to; None if no money was paid.
    """

    households: tuple[UUID, ...]
    payments_kept_until: date | None

    def body(self) -> dict[str, object]:
        """As the answer says it."""
        return {
            "erased_household_ids": self.households,
            "kept": "nothing"
            if self.payments_kept_until is None
            else "records of payments that were made, under their own key until the legal date",
            "payments_kept_until": self.payments_kept_until,
        }


async def erase_person(tx: Tx, journal: Journal, person_id: UUID, staff_id: UUID) -> Receipt:
    """Erase a person: all their records, since those that were merged are the same person.

    Raises:
        Problem: there is no such person, or they were merged at this moment.
        OSError: it cannot be written down.
    """
    person = await people.load(tx, person_id)
    found = await people.lock_whole(tx, [person.id])
    if found[person.id].erased_at is not None:
        raise Problem(NOT_FOUND)
    if found[person.id].merged_into is not None:
        raise Problem(CONFLICT)
    return await erase_records(tx, journal, found.values(), staff_id)


async def erase_records(
    tx: Tx,
    journal: Journal,
    records: Collection[PersonRow],
    staff_id: UUID,
    *,
    homes_too: bool = True,
) -> Receipt:
    """Delete the keys of these and no other records, and all that finds them.

    Open needs are cancelled first, but for those of a household that others belong to: these go on
    as no one member's, unless they are paid. What goes is written down before it is committed.

    Args:
        records: locked ones.
        homes_too: whether households that nobody belongs to any more go with them.

    Raises:
        OSError: it cannot be written down.
    """
    ids = sorted(each.id for each in records)
    homes = {each.household_id for each in records if each.household_id is not None}
    # Persons before households, as everyone locks them.
    await store.lock_households(tx.conn, homes)
    await _lock_needs_of(tx, ids, homes)
    await looking.end_all(tx, ids)
    needs = await _forget_needs(
        tx, await store.needs_of(tx.conn, persons=ids), PERSON_ERASED, staff_id, also=ids
    )
    await store.bury_persons(tx.conn, ids, tx.now, staff_id)
    for each in ids:
        tx.emit(PersonErasedV1(person_id=PersonId(each)))
    await journal.note(tx.now, "record", ids)
    empty = await store.emptied(tx.conn, homes) if homes_too else []
    if empty:
        needs += await _erase_households(tx, journal, empty, staff_id)
    return _receipt(tx, needs, empty)


async def erase_household(tx: Tx, journal: Journal, household_id: UUID, staff_id: UUID) -> Receipt:
    """Delete a household's key, its code and what was said of it; its members stay persons.

    Raises:
        Problem: there is no such household, or somebody joined it at this moment.
        OSError: it cannot be written down.
    """
    members = await store.lock_members(tx.conn, household_id)
    if not await store.lock_households(tx.conn, [household_id]):
        raise Problem(NOT_FOUND)
    if not await store.members(tx.conn, household_id) <= members:
        raise Problem(CONFLICT)
    await _lock_needs_of(tx, [], [household_id])
    needs = await _erase_households(tx, journal, [household_id], staff_id)
    return _receipt(tx, needs, [household_id])


async def _lock_needs_of(
    tx: Tx, person_ids: Collection[UUID], household_ids: Collection[UUID]
) -> None:
    """Lock all that is changed, what ended too, at once: no queue is locked after a need."""
    found = await store.needs_of(tx.conn, persons=person_ids, households=household_ids)
    await lock_needs(tx, [need.need_id for need in found])


async def _erase_households(
    tx: Tx, journal: Journal, household_ids: Collection[UUID], staff_id: UUID
) -> list[store.ErasedNeed]:
    needs = await _forget_needs(
        tx,
        await store.needs_of(tx.conn, households=household_ids),
        "household_erased",
        staff_id,
    )
    await store.bury_households(tx.conn, household_ids, tx.now, staff_id)
    await journal.note(tx.now, "household", household_ids)
    return needs


async def _forget_needs(
    tx: Tx,
    needs: list[store.ErasedNeed],
    reason: str,
    staff_id: UUID,
    also: Collection[UUID] = (),
) -> list[store.ErasedNeed]:
    """Cancel what is open, have payees forgotten, and blank what was sealed for others.

    Args:
        also: persons whose sealed cards are blanked too.
    """
    # Who left a household named a payee for it; if somebody named another since, that one stays.
    needs = [
        need
        for need in needs
        if not need.parted or need.payee_ref in {None, payee_ref_of(need.need_id)}
    ]
    going_on = {need.need_id for need in needs if need.goes_on}
    await acting.act(
        tx,
        [need.need_id for need in needs if need.is_open],
        lambda need: (
            commands.part(need, erased=True)
            if need.id in going_on
            else commands.end(need, State.CANCELLED, reason)
        ),
        staff_id,
    )
    for need in needs:
        # Payments may have details of its own, registered there, of whatever is paid out.
        if need.paid or need.payee_ref is not None:
            payee_ref = None if need.payee_ref is None else PayeeRef(need.payee_ref)
            tx.emit(PayeeErasedV1(need_id=NeedId(need.need_id), payee_ref=payee_ref))
    payees = [need.payee_ref for need in needs if need.payee_ref is not None]
    await outbox.withdraw_sealed(tx.conn, [*also, *payees])
    await referring.forget(tx, [need.need_id for need in needs])
    return needs


def _receipt(
    tx: Tx, needs: Collection[store.ErasedNeed], household_ids: Collection[UUID]
) -> Receipt:
    """No payment is later than today, so the legal date of today is the latest there can be."""
    paid = any(need.paid and need.served for need in needs)
    until = payment_kept_until(day_of(tx.now)) if paid else None
    return Receipt(tuple(household_ids), until)
