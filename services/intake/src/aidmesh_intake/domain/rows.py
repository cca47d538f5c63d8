"""A row of an import: flat text in, one checked need out."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_contracts.accounts import Mechanism
from aidmesh_contracts.days import OUT_OF_RANGE, EnteredDay, EnteredMoment
from aidmesh_contracts.values import Area, Code
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.persons import Channel, Consent, Contact, Details, Language, Payee
from aidmesh_intake.domain.triage import ANSWERS

_LIST: Final = re.compile(r"[\s,;]+")


def _split(value: object) -> object:
    return tuple(part for part in _LIST.split(value) if part) if isinstance(value, str) else value


Languages = Annotated[tuple[Language, ...], BeforeValidator(_split), Field(max_length=8)]
Words = Annotated[tuple[Code, ...], BeforeValidator(_split), Field(max_length=10)]


def _question(name: str) -> str:
    if name not in ANSWERS:
        raise PydanticCustomError("unknown", "no question of triage")
    return name


Question = Annotated[str, AfterValidator(_question)]
ConsentNames = Annotated[tuple[Consent, ...], BeforeValidator(_split)]


class ImportRow(BaseModel):
    """The columns of an import. Empty cells are left out before they come here.

    Attributes:
        row_id: the source's own id of the row; the same row sent twice is taken in once.
        contact_hours: `HH:MM-HH:MM` in Europe/Kyiv.
        consents: any of contact, data, referral, same_person; given on `asked_on`.
        site_id: where it is served; with `for_site` the site that it is for.
        exposed_at: since when the hours of a kind such as PEP run, with the time zone.
        headcount: outreach or a group: no person, so many contacts.
        given: aid that was given already, on `served_on`.
        answers: of triage, each from a column `answer_<question>`; stored sealed, as `note` is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    row_id: Annotated[str, Field(min_length=1, max_length=128)]
    client_code: PersonalText | None = None
    chosen_name: PersonalText | None = None
    legal_name: PersonalText | None = None
    birth_year: PersonalYear | None = None
    contact_channel: Channel | None = None
    contact_address: PersonalText | None = None
    contact_hours: (
        Annotated[str, Field(pattern=r"^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$")] | None
    ) = None
    contact_wording: Literal["neutral", "plain"] | None = None
    contact_safe: bool = False
    consents: ConsentNames = ()
    languages: Languages = ()
    area: Area | None = None
    origin_area: Area | None = None
    household_code: PersonalText | None = None
    for_household: bool = False
    kind: Code
    quantity: int = Field(default=1, gt=0, le=100_000)
    asked_on: EnteredDay | None = None
    needed_by: EnteredDay | None = None
    exposed_at: EnteredMoment | None = None
    planned_on: EnteredDay | None = None
    place_area: Area | None = None
    site_id: UUID | None = None
    for_site: bool = False
    from_on: EnteredDay | None = None
    to_on: EnteredDay | None = None
    features: Words = ()
    amount_minor: int | None = Field(default=None, gt=0)
    payee_mechanism: Mechanism | None = None
    payee_name: PersonalText | None = None
    payee_iban: PersonalText | None = None
    payee_card: PersonalText | None = None
    payee_tax_number: PersonalText | None = None
    payee_address: PersonalText | None = None
    headcount: int | None = Field(default=None, gt=0, le=100_000)
    given: bool = False
    served_on: EnteredDay | None = None
    note: PersonalText | None = None
    answers: dict[Question, bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.contact_channel is None) != (self.contact_address is None):
            raise PydanticCustomError("channel_and_address", "a contact has both or none")
        if self.contact_safe and None in (
            self.contact_channel,
            self.contact_hours,
            self.contact_wording,
        ):
            raise PydanticCustomError(
                "safe_needs_channel_hours_and_wording", "a safe contact names all of it"
            )
        if (self.payee_mechanism is None) != (self.payee_name is None):
            raise PydanticCustomError("payee_needs_mechanism_and_name", "a payee has both")
        if self.for_household and self.household_code is None:
            raise PydanticCustomError("household_code_missing", "a household has a code")
        if self.for_site and self.site_id is None:
            raise PydanticCustomError("site_id_missing", "aid for a site names the site")
        if self.headcount is not None and self.client_code is not None:
            raise PydanticCustomError("headcount_or_person", "heads are counted, not named")
        return self

    @cached_property
    def for_whom(self) -> ForWhom:
        """Whom the row is for."""
        if self.headcount is not None:
            return ForWhom.GROUP
        if self.for_site:
            return ForWhom.SITE
        return ForWhom.HOUSEHOLD if self.for_household else ForWhom.PERSON

    @cached_property
    def contact(self) -> Contact | None:
        """The contact, if there is one."""
        if self.contact_channel is None or self.contact_address is None:
            return None
        begins, _, ends = (self.contact_hours or "").partition("-")
        return Contact(
            channel=self.contact_channel,
            address=self.contact_address,
            hours_from=begins or None,
            hours_to=ends or None,
            wording=self.contact_wording,
            safe=self.contact_safe,
        )

    @cached_property
    def details(self) -> Details:
        """What is encrypted."""
        return Details(
            client_code=self.client_code,
            chosen_name=self.chosen_name,
            legal_name=self.legal_name,
            birth_year=self.birth_year,
            contact=self.contact,
        )

    @cached_property
    def payee(self) -> Payee | None:
        """Who is paid, if it was said."""
        if self.payee_mechanism is None or self.payee_name is None:
            return None
        return Payee(
            mechanism=self.payee_mechanism,
            legal_name=self.payee_name,
            iban=self.payee_iban,
            card=self.payee_card,
            tax_number=self.payee_tax_number,
            address=self.payee_address,
        )


_ANSWER: Final = "answer_"
FIELDS: Final = frozenset(ImportRow.model_fields) - {"answers"} | {
    _ANSWER + each for each in ANSWERS
}
"""The columns that an import knows."""
_ROW: Final = TypeAdapter(ImportRow)


class Broken(NamedTuple):
    """A rule that a row breaks, and where: never by which value.

    Attributes:
        bounds: the first and the last day that is possible, where the rule is about days.
    """

    column: str
    rule: str
    bounds: Mapping[str, str]


class RowError(ValueError):
    """A row that breaks rules."""

    def __init__(self, problems: list[Broken]) -> None:
        super().__init__("the row breaks rules")
        self.problems = problems


def parse_row(cells: Mapping[str, str]) -> ImportRow:
    """Check one row.

    Raises:
        RowError: names the columns and the rules.
    """
    answers = {
        column.removeprefix(_ANSWER): cell
        for column, cell in cells.items()
        if column.startswith(_ANSWER)
    }
    plain = {column: cell for column, cell in cells.items() if not column.startswith(_ANSWER)}
    try:
        row = _ROW.validate_python({**plain, "answers": answers})
        # Their own rules, found out now and not in the middle of a chunk.
        _ = row.contact, row.payee
    except ValidationError as error:
        raise RowError(list(_problems(error))) from None
    return row


def _problems(error: ValidationError) -> Iterator[Broken]:
    for each in error.errors(include_url=False, include_input=False):
        column = str(each["loc"][0]) if each["loc"] else "row"
        if column == "answers":
            column = _ANSWER + str(each["loc"][1])
        if column in ("hours_from", "hours_to"):
            column = "contact_hours"
        # Of other rules' context nothing is told: it may repeat the value.
        bounds: dict[str, str] = each.get("ctx", {}) if each["type"] == OUT_OF_RANGE else {}
        yield Broken(column if column in FIELDS else "row", each["type"], bounds)
