"""Requests: one call makes the request, its needs, and the person if they are new."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, EnteredMoment, day_of
from aidmesh_contracts.values import Area, Code
from aidmesh_intake.api.context import OTHER_HOUSEHOLD, Caseworker, Ctx, invalid, unfit
from aidmesh_intake.domain.asks import AskError
from aidmesh_intake.domain.drafts import Draft, PersonDraft
from aidmesh_intake.domain.households import OtherHousehold
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.persons import Contact, Details, EnteredConsents, Language, Payee
from aidmesh_intake.domain.triage import ANSWERS
from aidmesh_intake.handlers.drafting import Wanted, draft_need
from aidmesh_intake.handlers.locking import lock_persons
from aidmesh_intake.handlers.registering import Registered, register
from aidmesh_intake.store import households

router = Routes(prefix="/v1/requests", tags=["requests"])


class PersonIn(Body):
    """Someone, by a code only or with details. A known code finds them; they stay as they are."""

    client_code: PersonalText | None = None
    chosen_name: PersonalText | None = None
    legal_name: PersonalText | None = None
    birth_year: PersonalYear | None = None
    contact: Contact | None = None
    note: PersonalText | None = None
    languages: tuple[Language, ...] = Field(default=(), max_length=8)
    area: Area | None = None
    origin_area: Area | None = None
    household_code: PersonalText | None = None
    consents: EnteredConsents = Field(default_factory=dict)

    def draft(self) -> PersonDraft:
        """The same for the handler."""
        return PersonDraft(
            details=self.details(),
            languages=self.languages,
            area=self.area,
            origin_area=self.origin_area,
            household_code=self.household_code.reveal() if self.household_code else None,
            consents=self.consents,
        )

    def details(self) -> Details:
        """What is encrypted."""
        return Details(
            client_code=self.client_code,
            chosen_name=self.chosen_name,
            legal_name=self.legal_name,
            birth_year=self.birth_year,
            contact=self.contact,
            note=self.note,
        )


class NeedIn(Body):
    """One need. `given` records aid that was given already: it is never refused.

    Attributes:
        site_id: the one site that it is to be served at or from; any in the area if None.
        from_on, to_on: nights of a stay (half open), or days within which a slot will do.
        exposed_at: since when the hours of a kind such as PEP run; until when it is of use follows
            from it.
    """

    kind: Code
    quantity: int = Field(default=1, gt=0, le=100_000)
    needed_by: EnteredDay | None = None
    exposed_at: EnteredMoment | None = None
    planned_on: EnteredDay | None = None
    place_area: Area | None = None
    site_id: UUID | None = None
    from_on: EnteredDay | None = None
    to_on: EnteredDay | None = None
    amount_minor: int | None = Field(default=None, gt=0)
    features: tuple[Code, ...] = Field(default=(), max_length=10)
    payee: Payee | None = None
    headcount: int | None = Field(default=None, gt=0)
    given: bool = False
    served_on: EnteredDay | None = None

    def wanted(self) -> Wanted:
        """The same for the handler."""
        return Wanted(
            kind=self.kind,
            quantity=self.quantity,
            needed_by=self.needed_by,
            exposed_at=self.exposed_at,
            planned_on=self.planned_on,
            place_area=self.place_area,
            site_id=self.site_id,
            from_on=self.from_on,
            to_on=self.to_on,
            amount_minor=self.amount_minor,
            features=self.features,
            payee=self.payee,
            headcount=self.headcount,
            given=self.given,
            served_on=self.served_on,
        )


class RequestIn(Body):
    """A request for a person, a household, a group (by headcount) or a site.

    Attributes:
        site_id: the site that it is for; the goods may come from any other.
    """

    for_whom: ForWhom = ForWhom.PERSON
    person_id: UUID | None = None
    person: PersonIn | None = None
    household_id: UUID | None = None
    site_id: UUID | None = None
    source: Code = "desk"
    asked_on: EnteredDay | None = None
    answers: dict[Code, bool] = Field(default_factory=dict, max_length=40)
    note: PersonalText | None = None
    needs: Annotated[tuple[NeedIn, ...], Field(min_length=1, max_length=20)]

    def who(self) -> UUID | PersonDraft | None:
        """The person, if there is one.

        Raises:
            Problem: who it is for is missing or said twice.
        """
        if self.person_id is not None and self.person is not None:
            raise invalid("person", "person_or_person_id")
        named = self.person_id is not None or self.person is not None
        if self.for_whom in (ForWhom.GROUP, ForWhom.SITE) and (named or self.household_id):
            raise invalid("for_whom", "names_a_person")
        if self.for_whom is ForWhom.PERSON and not named:
            raise invalid("person", "missing")
        if (
            self.for_whom is ForWhom.HOUSEHOLD
            and self.household_id is None
            and (self.person is None or self.person.household_code is None)
        ):
            raise invalid("household_id", "missing")
        if self.for_whom is ForWhom.SITE and self.site_id is None:
            raise invalid("site_id", "missing")
        return self.person_id or (self.person.draft() if self.person else None)


@router.post("", status_code=201)
async def create_request(body: RequestIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Take in a request. Needs that the catalogue lets pass are approved at once.

    It is for the household that the person belongs to. Whoever is described and belongs to none
    moves into the one that is named. To name another than theirs is a conflict, and so is any with
    the `person_id` of somebody who belongs to none.
    """
    vault = ctx.vault.open()
    for name in body.answers:
        if name not in ANSWERS:
            raise invalid(f"answers.{name}", "unknown")
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        kinds = await ctx.catalogue.current(tx.conn)
        home = await _home_area(tx, body)
        draft = _draft(body, kinds, caller.staff_id, tx.now, home)
        try:
            (done,) = await register(tx, vault, kinds, [draft])
        except OtherHousehold:
            raise Problem(OTHER_HOUSEHOLD) from None
        return await once.answer(tx, 201, told(done), location=f"/v1/needs/{done.needs[0].id}")


async def _home_area(tx: Tx, body: RequestIn) -> str | None:
    """Where whom it is for stays.

    Raises:
        Problem: the person or the household is not there, or was merged at this moment.
    """
    home = body.person.area if body.person else None
    if body.person_id is not None:
        # Persons before households, as everyone locks them.
        found = (await lock_persons(tx, [body.person_id])).get(body.person_id)
        if found is None or found.erased_at is not None:
            raise Problem(NOT_FOUND, field="person_id")
        home = found.area
    household_id = body.household_id
    if household_id is not None and not await households.has(tx.conn, household_id):
        raise invalid("household_id", "unknown")
    return home


def _draft(
    body: RequestIn, kinds: dict[str, Kind], staff_id: UUID, now: datetime, home: str | None
) -> Draft:
    needs = []
    today = day_of(now)
    asked_on = body.asked_on or today
    if asked_on > today:
        raise invalid("asked_on", "in_the_future")
    for number, each in enumerate(body.needs):
        try:
            needs.append(
                draft_need(uuid4(), each.wanted(), kinds, body.for_whom, home, now, asked_on)
            )
        except AskError as error:
            raise unfit(error, f"body.needs.{number}") from None
    return Draft(
        id=uuid4(),
        for_whom=body.for_whom,
        person=body.who(),
        household_id=body.household_id,
        site_id=body.site_id,
        source=body.source,
        asked_on=asked_on,
        caseworker=staff_id,
        needs=tuple(needs),
        answers=body.answers,
        note=body.note.reveal() if body.note else None,
    )


def told(done: Registered) -> dict[str, object]:
    """The answer: ids and states."""
    return {
        "request_id": done.request_id,
        "person_id": done.person_id,
        "needs": [
            {
                "need_id": need.id,
                "kind": need.kind,
                "state": need.state.value,
                "reason": need.reason,
                "blocked_by": need.blocked_by.model_dump(mode="json") if need.blocked_by else None,
            }
            for need in done.needs
        ],
    }
