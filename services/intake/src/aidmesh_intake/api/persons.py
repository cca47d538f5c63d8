"""Persons and households. Whoever sees details leaves a trace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID, uuid4

import asyncpg
from fastapi import Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body, Page, PageQuery, Routes, revealed
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import ContactSealedV1
from aidmesh_contracts.values import Area
from aidmesh_intake.api.context import (
    PERSON_ERASED,
    Caseworker,
    Context,
    Ctx,
    Lead,
    invalid,
    not_found,
    only,
    stale,
)
from aidmesh_intake.api.requests import PersonIn
from aidmesh_intake.domain.persons import (
    LOOKED_FOR,
    Consents,
    Details,
    card_of,
)
from aidmesh_intake.handlers import erasing, households, looking, people, referring
from aidmesh_intake.handlers.identifying import HOUSEHOLD_CODE, PERSON_CODE
from aidmesh_intake.store import access
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import persons as store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.vault import OpenVault

router = Routes(prefix="/v1", tags=["persons"])


class PersonView(BaseModel):
    """A person, decrypted for a caseworker.

    Attributes:
        household_id: the household of the record that stands for them.
        household_ids: this one, if any, then those of the records that were merged into theirs:
            they belong to all of these.
    """

    person_id: UUID
    details: Details
    languages: tuple[str, ...]
    area: str | None
    origin_area: str | None
    household_id: UUID | None
    household_ids: tuple[UUID, ...] = ()
    consents: Consents
    version: int


class PersonChange(PersonIn):
    """A person written anew; `version` is the one that was looked at."""

    version: int = Field(gt=0)


class CodeIn(Body):
    """A client code; in a body, since URLs are logged on their way."""

    client_code: PersonalText


class HouseholdIn(Body):
    """A household and who belongs to it."""

    code: PersonalText | None = None
    area: Area | None = None
    person_ids: Annotated[tuple[UUID, ...], Field(max_length=50)] = ()


class MembersIn(Body):
    """Who moves into a household, or out of it."""

    person_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=50)]


class HouseholdView(BaseModel):
    """Who belongs to a household."""

    household_id: UUID
    person_ids: list[UUID]


class AccessEntry(BaseModel):
    """Who saw a person's details, or the answers and the note of the request named."""

    at: datetime
    staff_id: UUID
    why: str
    request_id: UUID | None = None


class AccessPage(BaseModel):
    """A page of who looked, the latest first."""

    entries: list[AccessEntry]
    next: str | None

    @classmethod
    def of(cls, page: Page, rows: Sequence[asyncpg.Record]) -> Self:
        """The page of up to one row more than it holds."""
        kept, following = page.cut(rows, lambda row: (row["at"], row["id"]))
        entries = [AccessEntry(**{name: row[name] for name in AccessEntry.model_fields})
                   for row in kept]  # fmt: skip
        return cls(entries=entries, next=following)


AFTER_ACCESS: Final[TypeAdapter[access.After]] = TypeAdapter(access.After)


@router.post("/persons", status_code=201)
async def create_person(body: PersonIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Register a person. A code that is known is a conflict: find them by it."""
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        person_id = uuid4()
        locker = vault.new_locker(person_id)
        details = body.details()
        row = PersonRow(
            id=person_id,
            code_lookup=None
            if body.client_code is None
            else vault.lookup(body.client_code.reveal(), PERSON_CODE),
            details=vault.hide(locker, person_id, details),
            wrapped_key=locker.wrapped,
            languages=body.languages,
            area=body.area,
            origin_area=body.origin_area,
            household_id=await _household(tx, vault, body),
            consents=body.consents,
            card_version=1 if body.contact else 0,
        )
        if not await store.insert(tx.conn, [row]):
            raise stale()
        if row.card_version:
            card = card_of(person_id, 1, body.contact, body.languages, body.consents)
            tx.emit(
                ContactSealedV1(
                    person_id=PersonId(person_id), version=1, sealed=vault.seal_card(card)
                )
            )
        return await once.answer(
            tx, 201, {"person_id": person_id}, location=f"/v1/persons/{person_id}"
        )


@router.post("/persons:find")
async def find_person(body: CodeIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """The person of a client code."""
    lookup = ctx.vault.open().lookup(body.client_code.reveal(), PERSON_CODE)
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        found = await store.by_codes(tx.conn, [lookup])
        only(found)
        return await once.answer(
            tx, 200, {"person_id": found[lookup].id}, location=f"/v1/persons/{found[lookup].id}"
        )


@router.get("/persons/{person_id}", response_model=PersonView)
async def get_person(person_id: UUID, ctx: Ctx, caller: Caseworker) -> Response:
    """A person's details. Who looked is remembered."""
    async with ctx.database.transaction() as tx:
        if await people.was_erased(tx, person_id):
            raise Problem(PERSON_ERASED)
        view = await _view(ctx, tx, await people.load(tx, person_id), caller.staff_id)
    return revealed(view)


@router.put("/persons/{person_id}", response_model=PersonView)
async def change_person(
    person_id: UUID, body: PersonChange, ctx: Ctx, caller: Caseworker
) -> Response:
    """Write a person's details anew, contact and consents too."""
    vault = ctx.vault.open()
    if body.household_code is not None:
        raise invalid("body.household_code", "moved_by_households")
    async with ctx.database.transaction() as tx:
        person = await people.change(
            tx,
            vault,
            person_id,
            body.version,
            body.details(),
            body.languages,
            body.area,
            body.origin_area,
            body.consents,
        )
        if "referral" not in person.consents:
            await referring.withdraw_all(tx, [person.id], caller.staff_id)
        if LOOKED_FOR not in person.consents:
            await looking.end_all(tx, [person.id, *await store.merged_into(tx.conn, [person.id])])
        view = await _view(ctx, tx, person, caller.staff_id)
    return revealed(view)


@router.get("/persons/{person_id}/access")
async def get_access(person_id: UUID, ctx: Ctx, caller: Lead, page: PageQuery) -> AccessPage:
    """Who saw a person's details, latest first."""
    async with ctx.database.read() as conn:
        rows = await access.access_of(conn, person_id, page.after(AFTER_ACCESS), page.limit + 1)
    return AccessPage.of(page, rows)


@router.post("/persons/{person_id}:erase")
async def erase_person(person_id: UUID, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Erase a person: keys and sealed details are deleted everywhere; it cannot be undone.

    Services that were given stay as counts. Where money was paid the record of it stays, sealed
    to the paying office, until the legal date that the answer names. What they had asked for a
    household that others belong to goes on, unless it is paid out: who is left is told in person. A
    household that nobody belongs to any more is erased too.
    """
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        receipt = await erasing.erase_person(tx, ctx.erasures, person_id, caller.staff_id)
        return await once.answer(tx, 200, {"person_id": person_id, **receipt.body()})


@router.post("/households", status_code=201)
async def create_household(body: HouseholdIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Make a household of persons."""
    lookup = (
        None if body.code is None else ctx.vault.open().lookup(body.code.reveal(), HOUSEHOLD_CODE)
    )
    household_id = uuid4()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        # Persons before households, as everyone locks them.
        await people.lock_whole(tx, body.person_ids)
        if not await household_store.add(tx.conn, household_id, lookup, body.area):
            raise stale()
        await _move_in(tx, household_id, body.person_ids, caller.staff_id)
        return await once.answer(
            tx, 201, {"household_id": household_id}, location=f"/v1/households/{household_id}"
        )


@router.get("/households/{household_id}")
async def get_household(household_id: UUID, ctx: Ctx, caller: Caseworker) -> HouseholdView:
    """Who belongs to a household, by their ids."""
    async with ctx.database.transaction() as tx:
        if not await household_store.has(tx.conn, household_id):
            raise not_found()
        found = await household_store.members(tx.conn, [household_id])
    return HouseholdView(household_id=household_id, person_ids=found.get(household_id, []))


@router.post("/households/{household_id}:join")
async def join_household(
    household_id: UUID, body: MembersIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Move persons into a household, out of the one that they are in.

    What was given to either stays where it was. What they had asked for the household that they
    leave is no one member's any more, if others belong to it: see `:leave`.
    """
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        # Persons before households, as everyone locks them.
        await people.lock_whole(tx, body.person_ids)
        await _move_in(tx, household_id, body.person_ids, caller.staff_id)
        return await once.answer(tx, 200, {"household_id": household_id})


@router.post("/households/{household_id}:leave")
async def leave_household(
    household_id: UUID, body: MembersIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Take persons out of a household: its limits are no longer theirs, nor theirs its.

    What was given to either stays where it was. What they had asked for the household is no one
    member's any more, if others belong to it: who is left is told in person, and money that is paid
    to somebody waits until a person has said to whom.
    """
    wanted = sorted(set(body.person_ids))
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        # Persons before households, as everyone locks them.
        await people.lock_whole(tx, wanted)
        if await households.leave(tx, household_id, wanted, caller.staff_id) != len(wanted):
            raise invalid("body.person_ids", "not_a_member")
        return await once.answer(tx, 200, {"household_id": household_id})


@router.post("/households/{household_id}:erase")
async def erase_household(household_id: UUID, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Erase a household: its key, its code and what was said of it. Its members stay persons."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        receipt = await erasing.erase_household(tx, ctx.erasures, household_id, caller.staff_id)
        return await once.answer(tx, 200, {"household_id": household_id, **receipt.body()})


async def _household(tx: Tx, vault: OpenVault, body: PersonIn) -> UUID | None:
    """The household that somebody new belongs to, made if need be.

    It comes before them, as everyone writes new ones.
    """
    if body.household_code is None:
        return None
    lookup = vault.lookup(body.household_code.reveal(), HOUSEHOLD_CODE)
    found = await household_store.by_codes(tx.conn, {lookup: uuid4()}, {lookup: body.area})
    if not found:
        raise stale()
    return found[lookup]


async def _move_in(
    tx: Tx, household_id: UUID, person_ids: tuple[UUID, ...], staff_id: UUID
) -> None:
    wanted = sorted(set(person_ids))
    if await households.join(tx, household_id, wanted, staff_id) != len(wanted):
        raise invalid("body.person_ids", "unknown")


async def _view(ctx: Context, tx: Tx, person: PersonRow, staff_id: UUID) -> PersonView:
    vault = ctx.vault.open()
    if person.details is None or person.wrapped_key is None:
        raise not_found()
    details = vault.show(vault.locker(person.id, person.wrapped_key), person.id, person.details)
    await access.note_access(tx.conn, staff_id, [person.id], "opened")
    others = (await household_store.behind(tx.conn, [person.id])).get(person.id, [])
    return PersonView(
        person_id=person.id,
        details=details,
        languages=person.languages,
        area=person.area,
        origin_area=person.origin_area,
        household_id=person.household_id,
        household_ids=tuple(dict.fromkeys(filter(None, (person.household_id, *others)))),
        consents=person.consents,
        version=person.version,
    )
