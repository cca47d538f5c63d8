"""Two records that are one person: one member of staff proposes it, another confirms it.

Nothing is moved: needs, contacts and households stay with their own record, so that taking the
merge back parts them as they were. What was asked for meanwhile is written for whoever stood for
both; whose it is, a person has to say.
"""

from collections.abc import Collection
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import CONFLICT, NOT_FOUND, Problem
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import ContactSealedV1, PersonMergedV1, PersonUnmergedV1
from aidmesh_intake.domain import parting
from aidmesh_intake.domain.persons import card_of
from aidmesh_intake.handlers import households, people, referring
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import merging as store
from aidmesh_intake.store import persons
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import OpenVault


class OwnProposal(Exception):
    """Who proposed a merge would confirm it too."""


async def propose(tx: Tx, person_id: UUID, into_id: UUID, staff_id: UUID) -> UUID:
    """Say that two records are one person; the id of the merge, which is still to be confirmed.

    Proposing what is proposed already changes nothing.

    Raises:
        Problem: one of them is not there, or they are one already.
    """
    await _both(tx, person_id, into_id)
    return await store.propose(tx.conn, uuid4(), person_id, into_id, staff_id, tx.now)


async def confirm(tx: Tx, vault: OpenVault, merge_id: UUID, staff_id: UUID) -> UUID:
    """Have the other record stand for both; its id.

    The contact card of the one that stays behind is taken back: from now on only the other's can
    be changed or withdrawn, so what is still under way for it is told in person.

    Raises:
        OwnProposal: the same member of staff proposed it.
        Problem: it is not there, was decided before, or one of the records changed meanwhile.
    """
    merge = await store.read(tx.conn, merge_id)
    if merge is None:
        raise Problem(NOT_FOUND)
    # Persons before what is said of them, as everyone locks them.
    person, into = await _both(tx, merge.person_id, merge.into_id)
    merge = await store.read(tx.conn, merge_id, lock=True)
    if merge is None or merge.state != "proposed":
        raise Problem(CONFLICT)
    if merge.proposed_by == staff_id:
        raise OwnProposal
    await _seal(tx, vault, person, usable=False)
    await persons.repoint(tx.conn, person.id, into.id)
    merge_no = await store.confirm(tx.conn, merge_id, staff_id, tx.now)
    tx.emit(
        PersonMergedV1(
            person_id=PersonId(person.id), into_person_id=PersonId(into.id), merge_no=merge_no
        )
    )
    return into.id


async def withdraw(tx: Tx, merge_id: UUID, staff_id: UUID) -> None:
    """Decide that two records are not one person after all.

    Raises:
        Problem: it is not there, or was decided before.
    """
    merge = await store.read(tx.conn, merge_id, lock=True)
    if merge is None:
        raise Problem(NOT_FOUND)
    if merge.state != "proposed":
        raise Problem(CONFLICT)
    await store.withdraw(tx.conn, merge_id, staff_id, tx.now)


async def unmerge(tx: Tx, vault: OpenVault, person_id: UUID, staff_id: UUID) -> None:
    """Let a record stand for itself again, with those that had been merged into it.

    Each need stays with its own record. What was asked for since the merge is of whoever stood for
    both, by whichever code they came: what is open of it is to be looked at, and told in person.
    The contact is used again, as far as its marks and consents allow. What other regions were
    offered of this record's is taken back, for the offers name whoever stood for it; so is what
    they were offered of what is to be looked at.

    Raises:
        Problem: it is not there, was erased, or stands for itself.
    """
    merge = await store.in_force(tx.conn, person_id)
    behind = await store.behind(tx.conn, person_id)
    root = (await persons.stands_for(tx.conn, [person_id])).get(person_id, person_id)
    # Also whoever stands for it: nobody acts for both while they are parted.
    found = await persons.by_ids(tx.conn, [person_id, root, *behind], lock=True)
    person = found.get(person_id)
    if person is None or person.erased_at is not None:
        raise Problem(NOT_FOUND)
    now_behind = await store.behind(tx.conn, person_id)
    if merge is None or person.merged_into != root or set(now_behind) != set(behind):
        raise Problem(CONFLICT)
    merge = await store.read(tx.conn, merge.id, lock=True)
    if merge is None or merge.state != "merged":
        raise Problem(CONFLICT)
    await store.undo(tx.conn, merge.id, staff_id, tx.now)
    await persons.part(tx.conn, person_id, behind)
    # This locks all that is open of theirs, so also what is offered.
    await households.part(tx, [person_id, root], staff_id)
    await look_at(tx, [person_id], [merge.id], staff_id)
    await _seal(tx, vault, person, usable=True)
    tx.emit(
        PersonUnmergedV1(
            person_id=PersonId(person_id),
            into_person_id=PersonId(merge.into_id),
            merge_no=merge.merge_no or 1,
        )
    )


async def look_at(
    tx: Tx, person_ids: Collection[UUID], merge_ids: Collection[UUID], staff_id: UUID
) -> None:
    """Have looked at what was asked for while merges were in force that are taken back now.

    What other regions were offered in the wrong name, or perhaps in the wrong one, is withdrawn.

    Args:
        person_ids: records that others stood for.
        merge_ids: merges, of whoever stood for both.
    """
    asked = await store.asked_since(tx.conn, merge_ids)
    await referring.withdraw_all(tx, person_ids, staff_id, asked)
    doubted = await lock_needs(tx, asked)
    await apply(tx, [Change(each, parting.doubt(each)) for each in doubted.values()], staff_id)


async def _both(tx: Tx, person_id: UUID, into_id: UUID) -> tuple[PersonRow, PersonRow]:
    """Two records that stand for themselves, locked with those behind them."""
    found = await people.lock_whole(tx, [person_id, into_id])
    person, into = found.get(person_id), found.get(into_id)
    if person is None or into is None or person.erased_at or into.erased_at:
        raise Problem(NOT_FOUND)
    if person.merged_into or into.merged_into:
        raise Problem(CONFLICT)
    return person, into


async def _seal(tx: Tx, vault: OpenVault, person: PersonRow, *, usable: bool) -> None:
    """Tell notification whether the contact of a record is used, if it ever had one."""
    if not person.card_version:
        return
    assert person.wrapped_key is not None  # noqa: S101 - only erasure takes it
    assert person.details is not None  # noqa: S101
    contact, consents = None, {}
    if usable:
        locker = vault.locker(person.id, person.wrapped_key)
        contact = vault.show(locker, person.id, person.details).contact
        consents = person.consents
    version = person.card_version + 1
    await persons.set_card_version(tx.conn, person.id, version)
    card = card_of(person.id, version, contact, person.languages, consents)
    tx.emit(
        ContactSealedV1(
            person_id=PersonId(person.id), version=version, sealed=vault.seal_card(card)
        )
    )
