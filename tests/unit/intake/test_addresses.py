"""What is entered as an e-mail address or a phone number has the form of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aidmesh_contracts.addresses import email_of, phone_of
from aidmesh_intake.domain.persons import Contact, Details
from aidmesh_intake.domain.rows import RowError, parse_row

ROW = {"row_id": "1", "kind": "food_parcel", "client_code": "c"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("name@example.org", "name@example.org"),
        ("  o.k+aid@sub-1.example.com.ua\n", "o.k+aid@sub-1.example.com.ua"),
        ("x_y'z@example.xn--j1amh", "x_y'z@example.xn--j1amh"),
        (f"{'l' * 64}@example.org", f"{'l' * 64}@example.org"),
    ],
)
def test_an_email_address_is_kept_without_blanks_around_it(text: str, kept: str) -> None:
    assert email_of(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "not an address", "x@y", "@example.org", "name@", "name@example", "name@@example.org",
        "na me@example.org", "name@exa mple.org", ".name@example.org", "na..me@example.org",
        "name@.org", "name@example..org", "name@-example.org", "name@example-.org",
        "name@127.0.0.1", "name@example.org.", "name@example.org\nbcc:x@example.org",
        "+380671234567",
        "Name <name@example.org>", "a@example.org,b@example.org", f"{'l' * 65}@example.org",
        f"name@{'x' * 64}.org", f"name@{'example.' * 32}org",
    ],
)  # fmt: skip
def test_what_no_mail_could_be_sent_to_is_none(text: str) -> None:
    assert email_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["+380671234567", " +380 67 123-45-67", "+38 (067) 123.45.67", "00380671234567",
     "+380\u00a067\u00a0123\u201145\u201167"],
)  # fmt: skip
def test_a_phone_number_is_kept_in_one_form(text: str) -> None:
    assert phone_of(text) == "+380671234567"


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_what_is_in_that_form_stays_so(number: str) -> None:
    assert phone_of(number) == number


@pytest.mark.parametrize(
    "text",
    ["", "+380 67", "+1234567", "+1234567890123456", "+0671234567", "0671234567", "380671234567",
     "80671234567", "+380671234567 (Olena)", "++380671234567", "name@example.org",
     "+\u0663\u0668\u0660671234567"],
)  # fmt: skip
def test_what_nobody_could_call_from_abroad_is_none(text: str) -> None:
    assert phone_of(text) is None


@pytest.mark.parametrize(
    ("channel", "address", "rule"),
    [
        ("email", "not an address", "not_an_email_address"),
        ("email", "+380671234567", "not_an_email_address"),
        ("sms", "+380 67", "not_a_phone_number"),
        ("sms", "name@example.org", "not_a_phone_number"),
    ],
)
def test_a_contact_goes_by_its_channel(channel: str, address: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Contact.model_validate({"channel": channel, "address": address})
    (error,) = caught.value.errors(include_input=False)
    assert (error["loc"], error["type"]) == (("address",), rule)
    assert address not in error["msg"]
    with pytest.raises(RowError) as refused:
        parse_row(ROW | {"contact_channel": channel, "contact_address": address})
    assert refused.value.problems == [("contact_address", rule, {})]


def test_a_contact_is_kept_in_one_form() -> None:
    row = parse_row(ROW | {"contact_channel": "sms", "contact_address": "+380 67 123-45-67"})
    assert row.contact is not None
    assert row.contact.address.reveal() == "+380671234567"
    spool = Contact.model_validate({"channel": "file", "address": "anything at all"})
    assert spool.address.reveal() == "anything at all"


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_what_was_stored_before_stays_readable(channel: str) -> None:
    stored = f'{{"contact": {{"channel": "{channel}", "address": "x@y"}}}}'
    contact = Details.from_bytes(stored.encode()).contact
    assert contact is not None
    assert contact.address.reveal() == "x@y"
