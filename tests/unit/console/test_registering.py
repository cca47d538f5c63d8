"""What the form means: pure, so tried with many forms."""

import json
from datetime import UTC, date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.clients.intake_views import Person
from aidmesh_console.clients.link import Fault
from aidmesh_console.forms import Form
from aidmesh_console.pages.known import DESCRIBING, unlike
from aidmesh_console.pages.registering import (
    SAFE,
    channels_of,
    faults_of,
    faults_of_person,
    lacking_of,
    request_of,
)
from aidmesh_intake.api.requests import RequestIn
from aidmesh_intake.domain.persons import card_of
from support.made_up.basics import kinds

DAY = date(2024, 4, 12)
KINDS = [Kind.model_validate(each) for each in kinds()]
CODES = [kind.code for kind in KINDS]


def _form(**fields: str) -> Form:
    return Form(FormData(list(fields.items())))


def _request(**fields: str) -> tuple[dict[str, Any], Form]:
    form = _form(**{"place_area": "UA80", "client_code": "КИ-1"} | fields)
    return request_of(form, KINDS, DAY), form


def test_a_code_and_a_parcel_are_enough() -> None:
    body, form = _request(need_food_parcel="1")
    assert form.faults == {}
    assert body == {
        "for_whom": "person",
        "asked_on": "2024-04-12",
        "person": {"client_code": "КИ-1"},
        "needs": [{"place_area": "UA80", "kind": "food_parcel", "quantity": 1}],
    }


def test_days_that_nobody_can_mean_are_named() -> None:
    form = _form(first="1014-02-03", last="2099-12-31", at="9999-12-31T23:00", never="soon")
    days = [form.day(name) for name in ("first", "last", "never")]
    assert days == [None, date(2099, 12, 31), None]
    assert form.moment("at", UTC) is None
    assert form.faults == {"first": "day_range", "at": "day_range", "never": "day"}


def test_the_hour_of_an_exposure_is_asked_where_hours_count() -> None:
    pep = [Kind.model_validate(KINDS[0].model_dump() | {"code": "pep", "within_hours": 72})]

    def request(**fields: str) -> tuple[dict[str, Any], Form]:
        form = _form(place_area="UA80", client_code="КИ-1", need_pep="1", **fields)
        return request_of(form, pep, DAY), form

    body, form = request(exposed_pep="2024-04-11T22:30")
    assert form.faults == {}
    assert body["needs"][0]["exposed_at"] == "2024-04-11T22:30:00+03:00"
    assert "exposed_at" not in request()[0]["needs"][0]
    assert request(exposed_pep="yesterday")[1].faults == {"exposed_pep": "moment"}


TEN_TO_SIX = {"hours_from": "10:00", "hours_to": "18:00"}


@given(marked=st.sets(st.sampled_from(SAFE)))
def test_a_contact_is_safe_only_with_all_three_marks(marked: set[str]) -> None:
    body, _ = _request(
        need_food_parcel="1",
        contact_address="+380501112233",
        **TEN_TO_SIX,
        **dict.fromkeys(marked, "1"),
    )
    contact = body["person"]["contact"]
    assert contact["safe"] is (marked == set(SAFE))
    assert {f"safe_{each}" for each in contact["marks"]} == marked
    assert contact["wording"] == "neutral"
    assert "consents" not in body["person"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"hours_from": "", "hours_to": "", "safe_hours": "1"}, {"hours_from": "no_hours"}),
        ({"safe_hours": "1"}, {"hours_from": "no_hours"}),
        ({"hours_from": "", "hours_to": "18:00"}, {"hours_from": "missing"}),
        ({"hours_from": "10:00", "hours_to": "", "safe_hours": "1"}, {"hours_to": "missing"}),
        ({"hours_from": "10:00", "hours_to": "10:00"}, {"hours_to": "hours"}),
        ({"hours_from": "", "hours_to": ""}, {}),
        (TEN_TO_SIX, {}),
    ],
)
def test_hours_that_were_cleared_are_no_others(
    fields: dict[str, str], faults: dict[str, str]
) -> None:
    safe = {"safe_channel": "1", "safe_wording": "1"}
    body, form = _request(
        need_food_parcel="1",
        contact_address="+380501112233",
        contact_channel="sms",
        **safe,
        **fields,
    )
    assert form.faults == faults
    contact = body["person"]["contact"]
    named = {each: time for each in TEN_TO_SIX if (time := fields.get(each))}
    assert {each: contact[each] for each in TEN_TO_SIX if each in contact} == named
    if not faults:
        stored = RequestIn.model_validate(body).person
        assert stored is not None
        assert stored.contact is not None
        assert not stored.contact.safe


@given(marked=st.sets(st.sampled_from(SAFE)), agrees=st.booleans())
def test_what_keeps_a_contact_from_being_used_is_named(marked: set[str], agrees: bool) -> None:
    fields = dict.fromkeys(marked, "1") | ({"consent_contact": "1"} if agrees else {})
    body, _ = _request(
        need_food_parcel="1",
        contact_channel="sms",
        contact_address="+380501112233",
        **TEN_TO_SIX,
        **fields,
    )
    stored = RequestIn.model_validate(body).person
    assert stored is not None
    person = Person.model_validate({
        "person_id": "11111111-1111-4111-8111-111111111111", "version": 1,
        "languages": [], "area": None, "origin_area": None, "consents": stored.consents,
        "details": json.loads(stored.details().to_bytes()),
    })  # fmt: skip
    lacking = lacking_of(person)
    assert set(lacking) == (set(SAFE) - marked) | (set() if agrees else {"consent.contact"})
    card = card_of(person.person_id, 1, stored.contact, (), stored.consents)
    assert card.safe is (lacking == ())


def test_channels_that_messages_go_out_by_come_first() -> None:
    assert channels_of(("sms", "file")) == [("sms", True), ("email", False)]
    assert channels_of(("email",)) == [("email", True), ("sms", False)]
    assert channels_of(()) == [("email", False), ("sms", False)]
    assert channels_of(None) == [("email", True), ("sms", True)]


@given(
    for_whom=st.sampled_from(["person", "household", "group", "site"]),
    chosen=st.sets(st.sampled_from(CODES), min_size=1, max_size=5),
    given=st.booleans(),
    amount=st.sampled_from(["", "1200,50", "3 000"]),
    quantity=st.integers(1, 9),
)
def test_what_the_form_accepts_intake_understands(
    for_whom: str, chosen: set[str], given: bool, amount: str, quantity: int
) -> None:
    fields = {f"need_{code}": "1" for code in chosen}
    fields |= {f"quantity_{code}": str(quantity) for code in chosen}
    fields |= {f"amount_{code}": amount for code in chosen}
    fields |= {
        "payee_name_financial_aid": "Олена К.",
        "payee_account_financial_aid": "UA213223130000026007233566001",
    }
    body, form = _request(
        for_whom=for_whom,
        household_code="Р-7",
        headcount="12",
        site_id="11111111-1111-4111-8111-111111111111",
        given="1" if given else "",
        answer_no_income="1",
        consent_contact="1",
        **fields,
    )
    if form.faults:
        assert all(fault == "for_whom" for fault in form.faults.values())
        return
    request = RequestIn.model_validate(body)
    assert {need.kind for need in request.needs} == chosen
    assert all(need.given is given for need in request.needs)
    request.who()


KNOWN = Person.model_validate({
    "person_id": "11111111-1111-4111-8111-111111111111", "version": 1, "languages": ["uk", "en"],
    "area": "UA80", "origin_area": None, "consents": {"contact": "2024-01-05"},
    "details": {"client_code": "КИ-1", "chosen_name": "Мар’яна  К.", "birth_year": 1991,
                "contact": {"channel": "sms", "address": "+380 (50) 111-22-33"}},
})  # fmt: skip


def _described(**fields: str) -> dict[str, Any]:
    body, form = _request(need_food_parcel="1", **fields)
    assert form.faults == {}
    person: dict[str, Any] = body["person"]
    return person


def test_who_is_known_is_told_by_what_is_said_of_them() -> None:
    assert unlike(_described(), KNOWN) == ()
    same = _described(
        chosen_name="мар'яна к.", birth_year="1991", language="en", area="UA80",
        contact_address="+380501112233", consent_contact="1",
    )  # fmt: skip
    assert unlike(same, KNOWN) == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chosen_name": "Мар'ян К."}, ("chosen_name",)),
        ({"legal_name": "Мар'яна К."}, ("legal_name",)),
        ({"birth_year": "1960"}, ("birth_year",)),
        ({"language": "de"}, ("language_spoken",)),
        ({"area": "UA46"}, ("stay_area",)),
        ({"origin_area": "UA63"}, ("origin_area",)),
        ({"contact_address": "m@example.org"}, ("contact_address",)),
        ({"contact_address": "+380501112234", "consent_data": "1"},
         ("contact_address", "register.consents")),
    ],
)  # fmt: skip
def test_what_is_not_known_of_someone_is_named(
    fields: dict[str, str], words: tuple[str, ...]
) -> None:
    said = _described(**fields)
    assert unlike(said, KNOWN) == words
    assert any(name in said for name in DESCRIBING)


def test_what_is_missing_is_named() -> None:
    _, form = _request(client_code="", place_area="")
    assert form.faults == {
        "client_code": "code_or_name",
        "place_area": "missing",
        "needs": "missing",
    }


@pytest.mark.parametrize(
    ("field", "rule", "marked"),
    [
        ("body.needs.1.payee", "iban_check_digits", {"payee_account_financial_aid": "iban"}),
        ("body.needs.1.payee.legal_name", "missing", {"payee_name_financial_aid": "refused"}),
        ("body.needs.0.quantity", "less_than_equal", {"quantity_food_parcel": "refused"}),
        ("body.needs.0.served_on", "in_the_future", {"served_on": "future"}),
        ("body.needs.0.kind", "no_longer_offered", {"need_food_parcel": "refused"}),
        ("body.needs.7.kind", "unknown", {"needs": "refused"}),
        ("body.needs", "too_long", {"needs": "refused"}),
        ("body.person.birth_year", "less_than_equal", {"birth_year": "refused"}),
        ("body.person.contact.address", "string_too_long", {"contact_address": "too_long"}),
        ("body.person.contact.address", "not_an_email_address", {"contact_address": "email"}),
        ("body.person.contact.address", "not_a_phone_number", {"contact_address": "phone"}),
        ("body.person.contact.hours_to", "same", {"hours_to": "refused"}),
        ("body.note", "string_too_long", {"note": "too_long"}),
        ("asked_on", "in_the_future", {"asked_on": "future"}),
    ],
)
def test_a_refusal_marks_the_field_that_it_is_about(
    field: str, rule: str, marked: dict[str, str]
) -> None:
    request = {"needs": [{"kind": "food_parcel"}, {"kind": "financial_aid"}]}
    assert faults_of([Fault(field=field, rule=rule)], request) == marked


def test_a_refusal_of_a_person_written_anew_marks_the_same_fields() -> None:
    refused = [
        Fault(field="body.contact.address", rule="not_a_phone_number"),
        Fault(field="body.birth_year", rule="less_than_equal"),
    ]
    assert faults_of_person(refused) == {"contact_address": "phone", "birth_year": "refused"}


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"quantity_food_parcel": "999999999"}, {"quantity_food_parcel": "too_large"}),
        ({"quantity_food_parcel": "100001"}, {"quantity_food_parcel": "too_large"}),
        ({"quantity_food_parcel": "0"}, {"quantity_food_parcel": "too_small"}),
        ({"birth_year": "1850"}, {"birth_year": "too_small"}),
        ({"birth_year": "3000"}, {"birth_year": "too_large"}),
        ({"birth_year": "2025"}, {"birth_year": "too_large"}),
        ({"birth_year": "19xx"}, {"birth_year": "number"}),
        ({"note": "н" * 4001}, {"note": "too_long"}),
        ({"note": "н" * 4000, "birth_year": "2024", "quantity_food_parcel": "100000"}, {}),
    ],
)
def test_what_intake_would_not_take_is_marked_before_it_is_sent(
    fields: dict[str, str], faults: dict[str, str]
) -> None:
    assert _request(need_food_parcel="1", **fields)[1].faults == faults


def test_nights_must_end_after_they_begin() -> None:
    _, form = _request(
        need_shelter_night="1", from_shelter_night="2024-04-12", to_shelter_night="2024-04-12"
    )
    assert form.faults == {"to_shelter_night": "order"}


def test_an_hour_may_be_wanted_on_one_day_alone() -> None:
    day = "2024-04-12"
    body, form = _request(need_counseling="1", from_counseling=day, to_counseling=day)
    assert form.faults == {}
    assert (body["needs"][0]["from_on"], body["needs"][0]["to_on"]) == (day, day)
    _, form = _request(need_counseling="1", from_counseling=day, to_counseling="2024-04-11")
    assert form.faults == {"to_counseling": "order"}


def test_an_account_is_sent_without_its_blanks() -> None:
    body, form = _request(
        need_financial_aid="1",
        payee_name_financial_aid="Олена К.",
        payee_account_financial_aid="ua21 3223 1300 0002 6007 2335 6600 1",
    )
    assert form.faults == {}
    assert body["needs"][0]["payee"] == {
        "mechanism": "iban",
        "legal_name": "Олена К.",
        "iban": "UA213223130000026007233566001",
    }


@given(st.text(max_size=40))
def test_fields_never_fail_whatever_is_typed(text: str) -> None:
    form = _form(n=text, d=text, u=text, m=text)
    whole, day, chosen, money = (
        form.whole("n"),
        form.day("d"),
        form.uuid("u"),
        form.money("m", "UAH"),
    )
    assert whole is None or whole >= 1
    assert money is None or money > 0
    for name, value in (("n", whole), ("d", day), ("u", chosen), ("m", money)):
        assert (value is None) == (name in form.faults or not form.text(name))
