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
from aidmesh_intake.domain.row_rules import column_of, rule_of
from aidmesh_intake.domain.triage import ANSWERS

_LIST: Final = re.compile(r"[\s,;]+")
_DOTTED_DAY: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
"""As days are written in Ukraine and Germany, and saved by their spreadsheets."""
_YES_OR_NO: Final = {"так": True, "ні": False, "ja": True, "nein": False}
"""Besides the English words, which pydantic knows."""


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


def _said(value: object) -> object:
    return _YES_OR_NO.get(value.strip().casefold(), value) if isinstance(value, str) else value


YesOrNo = Annotated[bool, BeforeValidator(_said)]
_OF_A_PERSON: Final = (
    "client_code", "chosen_name", "legal_name", "birth_year", "contact_channel", "consents"
)  # fmt: skip
"""What is said of nobody but a person. Files may name languages, hours and areas in each row."""


def _day(value: object) -> object:
    dotted = _DOTTED_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if dotted is None:
        return value
    day, month, year = dotted.groups()
    return f"{year}-{month:0>2}-{day:0>2}"


RowDay = Annotated[EnteredDay, BeforeValidator(_day)]


class ImportRow(BaseModel):
    """The columns of an import. Empty cells are left out before they come here.

    Attributes:
        row_id: the source's own number of the row; with the source it makes the row count once,
            however often it is sent. Never a name or a telephone number.
        client_code: by which the person is found again; the same code is the same person.
        chosen_name: what the person is called.
        legal_name: the name in the papers.
        birth_year: the year of birth, from 1900 on.
        contact_channel, contact_address: how and where the person may be reached; both or neither.
            With `email` an e-mail address, with `sms` a phone number with + and its country.
        contact_hours: within which a message may arrive, by the clocks of Kyiv.
        contact_wording: `neutral` says nothing of the organization or the help; `plain` may.
        contact_safe: the person said that channel, hours and wording, which are needed then, put
            them in no danger. Nobody is written to before, nor without their consent `contact`.
        consents: what the person agreed to, on `asked_on`.
        languages: what the person speaks, the one to write in first.
        area: where the person stays; where it is served, unless `place_area` says otherwise.
        origin_area: where the person comes from.
        household_code: by which the household is found again.
        for_household: the aid is for the whole household, which has a code then. Who asks has a
            code or a name; where nothing is said of a person, nobody is registered.
        kind: what is asked for, by its code in the catalogue.
        quantity: how many units of it; of a bed or an appointment, how many places.
        asked_on: when it was asked for, today at the latest; today if it is empty.
        needed_by: the last day on which it is of use.
        exposed_at: since when the hours of a kind such as PEP run.
        planned_on: for when it is planned, if not for the day it was asked on.
        place_area: where it is served; needed where there is no `area`.
        site_id: where it is served, by the site's id; with `for_site` the site that it is for.
        for_site: the aid is for the site itself, such as a center's furniture, and for no person.
        from_on: the first night of a stay, or the first day on which an appointment will do.
        to_on: the day of departure, or the last day on which an appointment will do.
        features: what the room must have, by codes such as `ground_floor`.
        amount_minor: the whole amount in kopiykas or cents, where the kind lets a request name it.
        payee_mechanism, payee_name: how and to whom money is paid; both or neither.
        payee_iban: the account, for `iban`.
        payee_card: the number of the card, for `card`.
        payee_tax_number: the payee's tax number.
        payee_address: where a postal order goes, for `post`.
        headcount: outreach or a group: so many people came, and nothing is said of any of them.
        given: the aid was given already, on `served_on`.
        served_on: the day on which it was given; today if it is empty.
        note: what else there is to know; stored encrypted.
        answers: of triage, each from a column `answer_<question>`; stored encrypted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    row_id: Annotated[str, Field(min_length=1, max_length=128, examples=["2024-0017"])]
    client_code: PersonalText | None = Field(default=None, examples=["KY-0417"])
    chosen_name: PersonalText | None = Field(default=None, examples=["Sasha"])
    legal_name: PersonalText | None = Field(default=None, examples=["Taras Example"])
    birth_year: PersonalYear | None = Field(default=None, examples=["1991"])
    contact_channel: Channel | None = Field(default=None, examples=["email"])
    contact_address: PersonalText | None = Field(default=None, examples=["sasha@example.org"])
    contact_hours: (
        Annotated[str, Field(pattern=r"^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$")] | None
    ) = Field(default=None, examples=["10:00-18:00"])
    contact_wording: Literal["neutral", "plain"] | None = Field(default=None, examples=["neutral"])
    contact_safe: YesOrNo = Field(default=False, examples=["yes"])
    consents: ConsentNames = Field(default=(), examples=["contact, referral"])
    languages: Languages = Field(default=(), examples=["uk, en"])
    area: Area | None = Field(default=None, examples=["UA80"])
    origin_area: Area | None = Field(default=None, examples=["UA14"])
    household_code: PersonalText | None = Field(default=None, examples=["H-0102"])
    for_household: YesOrNo = Field(default=False, examples=["yes"])
    kind: Code = Field(examples=["food_parcel"])
    quantity: int = Field(default=1, gt=0, le=100_000, examples=["2"])
    asked_on: RowDay | None = Field(default=None, examples=["2024-05-02"])
    needed_by: RowDay | None = Field(default=None, examples=["2024-05-31"])
    exposed_at: EnteredMoment | None = Field(default=None, examples=["2024-05-02T14:30+03:00"])
    planned_on: RowDay | None = Field(default=None, examples=["06.05.2024"])
    place_area: Area | None = Field(default=None, examples=["UA80"])
    site_id: UUID | None = Field(default=None, examples=["8d1f0f52-7a9e-4b5e-9a53-0c2d7f1f6b11"])
    for_site: YesOrNo = Field(default=False, examples=["no"])
    from_on: RowDay | None = Field(default=None, examples=["2024-05-06"])
    to_on: RowDay | None = Field(default=None, examples=["2024-05-20"])
    features: Words = Field(default=(), examples=["ground_floor"])
    amount_minor: int | None = Field(default=None, gt=0, examples=["360000"])
    payee_mechanism: Mechanism | None = Field(default=None, examples=["iban"])
    payee_name: PersonalText | None = Field(default=None, examples=["Taras Example"])
    payee_iban: PersonalText | None = Field(
        default=None, examples=["UA213223130000026007233566001"]
    )
    payee_card: PersonalText | None = Field(default=None, examples=["4111 1111 1111 1111"])
    payee_tax_number: PersonalText | None = Field(default=None, examples=["1234567890"])
    payee_address: PersonalText | None = Field(default=None, examples=["01001, Kyiv, post office"])
    headcount: int | None = Field(default=None, gt=0, le=100_000, examples=["30"])
    given: YesOrNo = Field(default=False, examples=["yes"])
    served_on: RowDay | None = Field(default=None, examples=["2024-05-03"])
    note: PersonalText | None = Field(default=None, examples=["Comes with a dog"])
    answers: dict[Question, YesOrNo] = Field(default_factory=dict, examples=["yes"])

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
        if self.for_household and self._of_a_person and not self._has_a_name:
            raise PydanticCustomError("code_or_name_missing", "who asks has a code or a name")
        if self.for_site and self.site_id is None:
            raise PydanticCustomError("site_id_missing", "aid for a site names the site")
        return self

    @model_validator(mode="after")
    def _names_nobody_for_nothing(self) -> Self:
        if self.for_whom not in (ForWhom.GROUP, ForWhom.SITE):
            return self
        column = self._of_a_person or ("household_code" if self.household_code else None)
        if column is not None:
            # It would be lost: a group is counted, and a site is nobody.
            raise PydanticCustomError(
                "names_a_person", "groups and sites name no person", {"column": column}
            )
        return self

    @property
    def _of_a_person(self) -> str | None:
        """The first column that says something of a person."""
        return next((each for each in _OF_A_PERSON if getattr(self, each)), None)

    @property
    def _has_a_name(self) -> bool:
        return any((self.client_code, self.chosen_name, self.legal_name))

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


ANSWER: Final = "answer_"
"""What the column of an answer begins with; the question follows."""
_OF_CONTACT: Final = {
    "address": "contact_address",
    "hours_from": "contact_hours",
    "hours_to": "contact_hours",
}
"""Columns of what a contact's own rules are about; no other rule of its own names an address."""
FIELDS: Final = frozenset(ImportRow.model_fields) - {"answers"} | {
    ANSWER + each for each in ANSWERS
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
        column.removeprefix(ANSWER): cell
        for column, cell in cells.items()
        if column.startswith(ANSWER)
    }
    plain = {column: cell for column, cell in cells.items() if not column.startswith(ANSWER)}
    try:
        row = _ROW.validate_python({**plain, "answers": answers})
        # Their own rules, found out now and not in the middle of a chunk.
        _ = row.contact, row.payee
    except ValidationError as error:
        raise RowError(list(_problems(error))) from None
    return row


def _problems(error: ValidationError) -> Iterator[Broken]:
    for each in error.errors(include_url=False, include_input=False):
        said: dict[str, str] = each.get("ctx", {})
        column = str(each["loc"][0]) if each["loc"] else column_of(each["type"], said)
        if column == "answers":
            column = ANSWER + str(each["loc"][1])
        column = _OF_CONTACT.get(column, column)
        # Of other rules' context nothing is told: it may repeat the value.
        bounds = said if each["type"] == OUT_OF_RANGE else {}
        yield Broken(column if column in FIELDS else "row", rule_of(each["type"], column), bounds)
