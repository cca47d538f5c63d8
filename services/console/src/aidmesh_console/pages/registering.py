"""What the register form means, as the request that intake takes. No I/O."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.clients.intake_views import Contact, Person
from aidmesh_console.clients.link import Fault
from aidmesh_console.forms import TEXT_CHARS_MAX, Form, as_text, filled
from aidmesh_contracts.days import KYIV

FOR_WHOM: Final = ("person", "household", "group", "site")
FOR_THEM: Final = FOR_WHOM[:2]
"""Whom a request may be for that is entered for somebody who is known."""
CHANNELS: Final = ("email", "sms")
CONSENTS: Final = ("contact", "data", "referral", "same_person")
SAFE: Final = ("safe_channel", "safe_hours", "safe_wording")
ANSWERS: Final = (
    "in_danger_now",
    "no_shelter_tonight",
    "medication_runs_out",
    "violence_at_home",
    "displaced_this_month",
    "with_children",
    "disability",
    "chronic_illness",
    "pregnant",
    "minor",
    "over_60",
    "no_income",
    "veteran_or_family",
)
"""What makes a need more urgent, in the words of intake's triage."""
NEEDS_MAX: Final = 20
QUANTITY_MAX: Final = 100_000
"""What intake takes as the quantity of one need."""


def request_of(
    form: Form, kinds: Sequence[Kind], today: date, person_id: UUID | None = None
) -> dict[str, Any]:
    """The body of `POST /v1/requests`; what is missing or makes no sense is in `form.faults`.

    Args:
        person_id: whom it is for, or whose household, where they are known; None where the form
            says who they are.
    """
    for_whom = form.text("for_whom") or "person"
    if for_whom not in (FOR_WHOM if person_id is None else FOR_THEM):
        form.faults["for_whom"] = "choice"
    body: dict[str, Any] = {
        "for_whom": for_whom,
        "asked_on": as_text(form.day("asked_on") or today),
        "answers": {each: True for each in ANSWERS if form.checked(f"answer_{each}")} or None,
        "note": form.text("note"),
    }
    if len(body["note"] or "") > TEXT_CHARS_MAX:
        form.faults["note"] = "too_long"
    if for_whom == "site":
        body["site_id"] = as_text(form.uuid("site_id", needed=True))
    of_household = for_whom == "household"
    if person_id is not None:
        body["person_id"] = str(person_id)
        if of_household:
            body["household_id"] = as_text(form.uuid("household_id", needed=True))
    elif for_whom in FOR_THEM:
        body["person"] = _person(form, today, of_household=of_household)
    chosen = [kind for kind in kinds if form.checked(f"need_{kind.code}")]
    if not chosen:
        form.faults["needs"] = "missing"
    if len(chosen) > NEEDS_MAX:
        form.faults["needs"] = "too_many"
    shared = _shared(form, for_whom, today)
    body["needs"] = [filled(shared | _need(form, kind, for_whom)) for kind in chosen]
    return filled(body)


def _shared(form: Form, for_whom: str, today: date) -> dict[str, Any]:
    """What the form asks once for all needs."""
    given = form.checked("given")
    return {
        "place_area": form.text("place_area", needed=True),
        "site_id": as_text(form.uuid("site_id")),
        "needed_by": as_text(form.day("needed_by")),
        "headcount": form.whole("headcount", needed=True) if for_whom == "group" else None,
        "given": given or None,
        "served_on": as_text(form.day("served_on") or today) if given else None,
    }


def _person(form: Form, today: date, *, of_household: bool) -> dict[str, Any]:
    if form.text("client_code") is None and form.text("chosen_name") is None:
        form.faults["client_code"] = "code_or_name"
    language = form.text("language")
    return filled(
        {
            "client_code": form.text("client_code"),
            "chosen_name": form.text("chosen_name"),
            "legal_name": form.text("legal_name"),
            "birth_year": form.whole("birth_year", least=1900, most=today.year),
            "languages": [language] if language else None,
            "area": form.text("area"),
            "origin_area": form.text("origin_area"),
            "household_code": form.text("household_code", needed=of_household),
            "consents": {
                each: today.isoformat() for each in CONSENTS if form.checked(f"consent_{each}")
            }
            or None,
            "contact": _contact(form),
        }
    )


def _contact(form: Form) -> dict[str, Any] | None:
    """A contact is safe only if channel, hours and wording each were marked so."""
    address = form.text("contact_address")
    if address is None:
        return None
    marks = [each.removeprefix("safe_") for each in SAFE if form.checked(each)]
    hours_from, hours_to = _hours(form)
    return filled(
        {
            "channel": form.text("contact_channel") or CHANNELS[0],
            "address": address,
            "hours_from": hours_from,
            "hours_to": hours_to,
            "wording": form.text("wording") or "neutral",
            "safe": len(marks) == len(SAFE),
            "marks": marks,
        }
    )


def _hours(form: Form) -> tuple[str | None, str | None]:
    """The hours as they stand in the form: the person agreed to no others, and perhaps to none."""
    hours_from, hours_to = form.text("hours_from"), form.text("hours_to")
    if hours_from is None and hours_to is None:
        if form.checked("safe_hours"):
            form.faults["hours_from"] = "no_hours"
    elif hours_from is None or hours_to is None:
        form.faults["hours_from" if hours_from is None else "hours_to"] = "missing"
    elif hours_from == hours_to:
        form.faults["hours_to"] = "hours"
    return hours_from, hours_to


def lacking_of(person: Person) -> tuple[str, ...]:
    """What keeps the contact of a person from being used, by the keys of its texts."""
    contact = person.details.contact
    if contact is None:
        return ()
    marks = SAFE if contact.safe else tuple(f"safe_{each}" for each in contact.marks)
    lacking = tuple(each for each in SAFE if each not in marks)
    return lacking if "contact" in person.consents else (*lacking, "consent.contact")


def channels_of(sent: Collection[str] | None) -> list[tuple[str, bool]]:
    """The channels of a contact, those first that messages go out by; and whether they do.

    Args:
        sent: the channels by which this region sends; None where nobody says.
    """
    known = [(each, sent is None or each in sent) for each in CHANNELS]
    return sorted(known, key=lambda each: not each[1])


def change_of(form: Form, person: Person, today: date) -> dict[str, Any]:
    """The body of `PUT /v1/persons/…`: all there is, as the form now has it.

    The contact stays, is removed or is written anew; a new one is unusable until its three marks
    are set again. Taking the consent to be contacted back makes the contact unusable too.
    """
    if form.text("client_code") is None and form.text("chosen_name") is None:
        form.faults["client_code"] = "code_or_name"
    agreed = {
        each: (person.consents.get(each) or today).isoformat()
        for each in CONSENTS
        if form.checked(f"consent_{each}")
    }
    contact = _changed_contact(form, person.details.contact)
    if contact is not None and "contact" in person.consents and "contact" not in agreed:
        contact |= {"safe": False, "marks": []}
    first = form.text("language")
    also = [each for each in form.many("also") if each != first]
    return filled(
        {
            "version": form.whole("version", needed=True),
            "client_code": form.text("client_code"),
            "chosen_name": form.text("chosen_name"),
            "legal_name": form.text("legal_name"),
            "birth_year": form.whole("birth_year", least=1900, most=today.year),
            "note": form.text("note"),
            "languages": [each for each in (first, *also) if each],
            "area": form.text("area"),
            "origin_area": form.text("origin_area"),
            "consents": agreed,
            "contact": contact,
        }
    )


def _changed_contact(form: Form, known: Contact | None) -> dict[str, Any] | None:
    way = form.text("contact_way") or "keep"
    if way == "change":
        form.text("contact_address", needed=True)
        return _contact(form)
    if way == "remove" or known is None:
        return None
    return filled(
        {
            "channel": known.channel,
            "address": known.address.reveal(),
            "hours_from": known.hours_from,
            "hours_to": known.hours_to,
            "wording": known.wording,
            "safe": known.safe,
            "marks": list(known.marks) or None,
        }
    )


def _need(form: Form, kind: Kind, for_whom: str) -> dict[str, Any]:
    """What the form asks about one kind."""
    code = kind.code
    if for_whom not in kind.for_whom:
        form.faults[f"need_{code}"] = "for_whom"
    need: dict[str, Any] = {
        "kind": code,
        "quantity": form.whole(f"quantity_{code}", most=QUANTITY_MAX) or 1,
    }
    if kind.capacity is not None:
        first, last = form.day(f"from_{code}"), form.day(f"to_{code}")
        # Nobody leaves a bed on the day they come; an hour may be wanted on one day alone.
        least = timedelta(days=1 if kind.capacity.resource == "bed" else 0)
        if first and last and last - first < least:
            form.faults[f"to_{code}"] = "order"
        need |= {"from_on": as_text(first), "to_on": as_text(last)}
    if kind.within_hours is not None:
        need["exposed_at"] = as_text(form.moment(f"exposed_{code}", KYIV))
    if kind.money is not None and kind.money.amount_given:
        need["amount_minor"] = form.money(f"amount_{code}", kind.money.currency)
    if kind.money is not None and kind.money.by == "payout":
        need["payee"] = payee_of(form, code)
        to_account = form.text(f"mechanism_{code}") not in {None, "cash"}
        if need["payee"] is None and to_account and not form.checked("given"):
            # Nobody to pay means cash, which somebody has to choose.
            form.faults[f"payee_name_{code}"] = "payee"
    return need


def payee_of(form: Form, code: str) -> dict[str, Any] | None:
    """Who is paid, and how, as intake takes it; None where nothing was entered.

    Args:
        code: what the names of the fields end with.
    """
    name = form.text(f"payee_name_{code}")
    account = form.text(f"payee_account_{code}")
    if name is None and account is None:
        return None
    mechanism = form.text(f"mechanism_{code}") or "iban"
    payee = {
        "mechanism": mechanism,
        "legal_name": form.text(f"payee_name_{code}", needed=True),
        "tax_number": form.text(f"payee_tax_{code}"),
    }
    if mechanism in {"iban", "card"}:
        needed = form.text(f"payee_account_{code}", needed=True) or ""
        payee[mechanism] = needed.replace(" ", "").upper()
    elif mechanism == "post":
        payee["address"] = form.text(f"payee_account_{code}", needed=True)
    return filled(payee)


_RULES: Final = {
    "iban_check_digits": "iban",
    "not_an_email_address": "email",
    "not_a_phone_number": "phone",
    "card_check_digit": "card",
    "in_the_future": "future",
    "string_too_long": "too_long",
    "finds_them_already": "code_behind",
    "of_somebody_else": "code_taken",
}
"""What to say of a rule of intake, where there is more to say than that it was broken."""
_OF_CONTACT: Final = {"channel": "contact_channel", "hours_from": "hours_from",
                      "hours_to": "hours_to", "wording": "wording"}  # fmt: skip
_OF_PAYEE: Final = {"legal_name": "payee_name", "tax_number": "payee_tax",
                    "mechanism": "mechanism"}  # fmt: skip
_OF_NEED: Final = {"quantity": "quantity", "from_on": "from", "to_on": "to",
                   "exposed_at": "exposed", "amount_minor": "amount"}  # fmt: skip
_SHARED: Final = frozenset({"place_area", "site_id", "needed_by", "headcount", "served_on"})


def faults_of(refused: Sequence[Fault], request: Mapping[str, Any]) -> dict[str, str]:
    """The fields of the form that a refusal is about, each with what to say of it.

    Args:
        refused: fields of the request that intake did not take.
        request: the one that was sent.
    """
    codes = [need["kind"] for need in request.get("needs", ())]
    return {
        _field_of(each.field.removeprefix("body.").split("."), codes): _RULES.get(
            each.rule, "refused"
        )
        for each in refused
    }


def faults_of_person(refused: Sequence[Fault]) -> dict[str, str]:
    """As `faults_of`, of a person that was written anew."""
    within = [
        each.model_copy(update={"field": f"person.{each.field.removeprefix('body.')}"})
        for each in refused
    ]
    return faults_of(within, {})


def _field_of(parts: Sequence[str], codes: Sequence[str]) -> str:
    """The name in the form of a field of the request; `codes` are the kinds of its needs."""
    match parts:
        case ["person", "contact", *rest]:
            return _OF_CONTACT.get(rest[0] if rest else "", "contact_address")
        case ["person", "languages", *_]:
            return "language"
        case ["person", name, *_]:
            return name
        case ["needs", place, *_] if not place.isdigit() or int(place) >= len(codes):
            return "needs"
        case ["needs", _, name, *_] if name in _SHARED:
            return name
        case ["needs", place, "payee", *rest]:
            part = _OF_PAYEE.get(rest[0] if rest else "", "payee_account")
            return f"{part}_{codes[int(place)]}"
        case ["needs", place, *rest]:
            return f"{_OF_NEED.get(rest[0] if rest else '', 'need')}_{codes[int(place)]}"
    return parts[0]
