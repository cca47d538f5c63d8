"""A row of an import as the request that it is."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid4

from aidmesh_intake.domain.drafts import Draft, PersonDraft
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.rows import ImportRow
from aidmesh_intake.handlers.drafting import Wanted, draft_need

_SAYS_FOR_WHOM: Final = {
    ForWhom.PERSON: "kind",
    ForWhom.HOUSEHOLD: "for_household",
    ForWhom.GROUP: "headcount",
    ForWhom.SITE: "for_site",
}


def draft_row(
    row: ImportRow,
    asked_on: date,
    kinds: Mapping[str, Kind],
    source: str,
    staff_id: UUID,
    now: datetime,
) -> Draft:
    """The request of a row, with its one need.

    Raises:
        AskError: names the field and the rule that it breaks.
    """
    need = draft_need(
        uuid4(), _wanted(row), kinds, row.for_whom, row.area, now, asked_on, imported=True
    )
    return Draft(
        id=uuid4(),
        for_whom=row.for_whom,
        person=_person(row, asked_on),
        household_id=None,
        site_id=row.site_id,
        source=source,
        asked_on=asked_on,
        caseworker=staff_id,
        needs=(need,),
        answers=row.answers,
        note=row.note.reveal() if row.note else None,
    )


def column_of(row: ImportRow, field: str) -> str:
    """The column that says what a field of a request does."""
    if field == "for_whom":
        return _SAYS_FOR_WHOM[row.for_whom]
    return "payee_mechanism" if field == "payee" else field


def _wanted(row: ImportRow) -> Wanted:
    return Wanted(
        kind=row.kind,
        quantity=row.quantity,
        needed_by=row.needed_by,
        exposed_at=row.exposed_at,
        planned_on=row.planned_on,
        place_area=row.place_area,
        # Of a row for a site it is the site that the goods are for.
        site_id=None if row.for_whom is ForWhom.SITE else row.site_id,
        from_on=row.from_on,
        to_on=row.to_on,
        amount_minor=row.amount_minor,
        features=row.features,
        payee=row.payee,
        headcount=row.headcount,
        given=row.given,
        served_on=row.served_on,
    )


def _person(row: ImportRow, day: date) -> PersonDraft | None:
    if row.for_whom in (ForWhom.GROUP, ForWhom.SITE):
        return None
    return PersonDraft(
        details=row.details,
        languages=row.languages,
        area=row.area,
        origin_area=row.origin_area,
        household_code=row.household_code.reveal() if row.household_code else None,
        consents=dict.fromkeys(row.consents, day),
    )
