"""What is known about a person, and what of it notification may use."""

from datetime import date
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from aidmesh_chassis.privacy import REVEAL, PersonalText, PersonalYear
from aidmesh_contracts.accounts import Mechanism, compact, is_card, is_iban
from aidmesh_contracts.addresses import checked
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import PayeeRef, derive_id
from aidmesh_contracts.languages import language_to_write

Channel = Literal["email", "sms", "file"]
Mark = Literal["channel", "hours", "wording"]
Consent = Literal["contact", "data", "referral", "same_person"]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Contact(BaseModel):
    """How a person may be reached. Unusable until all of it is marked safe, and they agreed.

    Attributes:
        address: of `email` an e-mail address; of `sms` a phone number with + and its country.
        hours_from, hours_to: `HH:MM` in Europe/Kyiv within which a message may arrive.
        wording: `neutral` says nothing about the organization or the help; `plain` may.
        safe: the person said that channel, hours and wording put them in no danger.
        marks: of which of them they said so, where it was not of all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    address: PersonalText
    hours_from: Clock | None = None
    hours_to: Clock | None = None
    wording: Literal["neutral", "plain"] | None = None
    safe: bool = False
    marks: tuple[Mark, ...] = ()

    @field_validator("address")
    @classmethod
    def _has_its_form(cls, address: PersonalText, info: ValidationInfo) -> PersonalText:
        if _is_stored(info):
            return address
        return PersonalText(checked(info.data.get("channel"), address.reveal()))

    @field_validator("hours_to")
    @classmethod
    def _some_hours(cls, hours_to: str | None, info: ValidationInfo) -> str | None:
        # What is stored never opens, as before this was asked.
        if (
            hours_to is not None
            and hours_to == info.data.get("hours_from")
            and not _is_stored(info)
        ):
            raise PydanticCustomError("hours_are_equal", "hours begin and end at different times")
        return hours_to

    @model_validator(mode="after")
    def _complete_if_safe(self) -> Self:
        if self.safe and None in (self.hours_from, self.hours_to, self.wording):
            raise PydanticCustomError(
                "safe_needs_hours_and_wording", "a safe contact names its hours and wording"
            )
        return self


def _is_stored(info: ValidationInfo) -> bool:
    """What was stored before something was asked of it stays readable."""
    return info.context is not None and bool(info.context.get("stored", False))


class Details(BaseModel):
    """What is stored only encrypted under the person's own key.

    Attributes:
        code_elsewhere: the client code of the region that referred them. Codes are a region's own:
            here it finds nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_code: PersonalText | None = None
    code_elsewhere: PersonalText | None = None
    chosen_name: PersonalText | None = None
    legal_name: PersonalText | None = None
    birth_year: PersonalYear | None = None
    contact: Contact | None = None
    note: PersonalText | None = None

    @classmethod
    def from_bytes(cls, plain: bytes) -> Self:
        """Read what was stored."""
        return cls.model_validate_json(plain, context={"stored": True})

    def to_bytes(self) -> bytes:
        """The plain JSON, to be encrypted at once."""
        return self.model_dump_json(exclude_none=True, context=dict(REVEAL)).encode()


class Said(BaseModel):
    """What was answered and noted when something was asked for; stored only encrypted."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    answers: dict[str, bool] = Field(repr=False)
    note: PersonalText | None = None


Consents = dict[Consent, date]
"""What the person agreed to, and when."""
EnteredConsents = dict[Consent, EnteredDay]
"""The same as somebody enters it."""

LOOKED_FOR: Final[Consent] = "same_person"
"""The consent to be looked for in other regions, and found by them."""


class Card(BaseModel):
    """What is sealed to notification; the whole of what it ever learns of a person."""

    model_config = ConfigDict(frozen=True)

    person_id: UUID
    version: int = Field(gt=0)
    language: str | None
    channel: str | None
    address: PersonalText | None
    hours_from: str | None
    hours_to: str | None
    wording: str | None
    safe: bool

    def to_bytes(self) -> bytes:
        """The plain JSON, to be sealed at once."""
        return self.model_dump_json(exclude_none=True, context=dict(REVEAL)).encode()


def card_of(
    person_id: UUID,
    version: int,
    contact: Contact | None,
    languages: tuple[str, ...],
    consents: Consents,
) -> Card:
    """The card as it is now; without contact or consent it says only that there is none."""
    usable = contact if contact is not None and contact.safe and "contact" in consents else None
    return Card(
        person_id=person_id,
        version=version,
        language=language_to_write(languages),
        channel=usable.channel if usable else None,
        address=usable.address if usable else None,
        hours_from=usable.hours_from if usable else None,
        hours_to=usable.hours_to if usable else None,
        wording=usable.wording if usable else "neutral",
        safe=usable is not None,
    )


def payee_ref_of(need_id: UUID) -> PayeeRef:
    """Under which reference the paying office finds whom a need was asked for with.

    Corrections have others.
    """
    return PayeeRef(derive_id("payee", need_id))


class Payee(BaseModel):
    """Who is paid and how; sealed to the paying office and kept nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: Mechanism
    legal_name: PersonalText
    iban: PersonalText | None = None
    card: PersonalText | None = None
    tax_number: PersonalText | None = None
    address: PersonalText | None = None

    @model_validator(mode="after")
    def _has_account(self) -> Self:
        if (self.mechanism == "iban") != (self.iban is not None):
            raise PydanticCustomError("iban_goes_with_mechanism", "an IBAN for `iban`, only then")
        if (self.mechanism == "card") != (self.card is not None):
            raise PydanticCustomError("card_goes_with_mechanism", "a card for `card`, only then")
        # Here, where the number is typed in: the paying office would notice weeks later.
        if self.iban is not None and not is_iban(compact(self.iban.reveal())):
            raise PydanticCustomError("iban_check_digits", "the IBAN has a typing error")
        if self.card is not None and not is_card(compact(self.card.reveal())):
            raise PydanticCustomError("card_check_digit", "the card number has a typing error")
        if self.mechanism == "post" and self.address is None:
            raise PydanticCustomError("post_needs_address", "a postal order needs an address")
        return self

    def to_bytes(self, need_id: UUID, payee_ref: UUID) -> bytes:
        """The plain JSON, to be sealed at once."""
        body = self.model_dump(exclude_none=True, exclude={"address"}, context=dict(REVEAL))
        sealed = _Sealed(
            need_id=need_id,
            payee_ref=payee_ref,
            post_address=None if self.address is None else self.address.reveal(),
            **body,
        )
        return sealed.model_dump_json(exclude_none=True).encode()


class _Sealed(BaseModel):
    """A payee as payments reads it; plain values, made and encrypted in one breath."""

    model_config = ConfigDict(hide_input_in_errors=True)

    need_id: UUID
    payee_ref: UUID
    mechanism: str
    legal_name: str = Field(repr=False)
    iban: str | None = Field(default=None, repr=False)
    card: str | None = Field(default=None, repr=False)
    tax_number: str | None = Field(default=None, repr=False)
    post_address: str | None = Field(default=None, repr=False)
