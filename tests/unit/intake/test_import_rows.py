"""Rows of an import: what they take as days and words, and the codes of the rules they break."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

import aidmesh_intake
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.drafts import PersonDraft
from aidmesh_intake.domain.row_rules import OF_REQUESTS, OF_ROWS
from aidmesh_intake.domain.rows import ANSWER, ImportRow, RowError, parse_row
from aidmesh_intake.domain.triage import ANSWERS
from aidmesh_intake.handlers.import_drafts import draft_row
from aidmesh_intake.handlers.reading import RULES

GOOD = {"row_id": "1", "kind": "food_parcel", "area": "UA80"}
FOR_SITE = {"for_site": "yes", "site_id": "8d1f0f52-7a9e-4b5e-9a53-0c2d7f1f6b11"}
SOURCES = Path(aidmesh_intake.__file__).parent
IBAN = "UA213223130000026007233566001"


@pytest.mark.parametrize("written", ["2024-05-02", "02.05.2024", "2.5.2024", " 02.05.2024 "])
def test_days_as_they_are_written_and_as_spreadsheets_save_them(written: str) -> None:
    assert parse_row(GOOD | {"asked_on": written}).asked_on == date(2024, 5, 2)


@pytest.mark.parametrize("word", ["yes", "true", "1", "так", "Так", "ja"])
def test_yes_in_each_language(word: str) -> None:
    row = parse_row(GOOD | {"given": word, "answer_minor": word})
    assert row.given
    assert row.answers == {"minor": True}


@pytest.mark.parametrize("word", ["no", "false", "0", "ні", "НІ", "nein"])
def test_no_in_each_language(word: str) -> None:
    assert not parse_row(GOOD | {"given": word}).given


@pytest.mark.parametrize(
    ("cells", "column", "rule"),
    [
        ({"row_id": "x" * 129}, "row_id", "too_long"),
        ({"kind": "Food parcel"}, "kind", "not_a_code"),
        ({"features": "Erdgeschoss"}, "features", "not_a_code"),
        ({"quantity": "two"}, "quantity", "not_a_whole_number"),
        ({"quantity": "1.5"}, "quantity", "not_a_whole_number"),
        ({"quantity": "9" * 5000}, "quantity", "not_a_whole_number"),
        ({"quantity": "0"}, "quantity", "too_small"),
        ({"quantity": "100001"}, "quantity", "too_large"),
        ({"birth_year": "born 91"}, "birth_year", "not_a_whole_number"),
        ({"birth_year": "91"}, "birth_year", "too_small"),
        ({"birth_year": "2101"}, "birth_year", "too_large"),
        ({"area": "Київ"}, "area", "not_an_area"),
        ({"origin_area": "Lviv"}, "origin_area", "not_an_area"),
        ({"place_area": "UA"}, "place_area", "not_an_area"),
        ({"languages": "українська"}, "languages", "not_a_language"),
        ({"languages": "uk " * 9}, "languages", "too_long"),
        ({"consents": "everything"}, "consents", "not_one_of_the_words"),
        ({"contact_channel": "viber"}, "contact_channel", "not_one_of_the_words"),
        ({"contact_hours": "9 to 5"}, "contact_hours", "not_hours"),
        ({"given": "perhaps"}, "given", "not_yes_or_no"),
        ({"asked_on": "31.02.2024"}, "asked_on", "not_a_day"),
        ({"asked_on": "yesterday"}, "asked_on", "not_a_day"),
        ({"asked_on": "45414"}, "asked_on", "not_a_day"),
        ({"asked_on": "02.05.1024"}, "asked_on", "day_out_of_range"),
        ({"exposed_at": "2024-05-02 14:30"}, "exposed_at", "not_a_moment"),
        ({"exposed_at": "at night"}, "exposed_at", "not_a_moment"),
        ({"site_id": "kyiv-1"}, "site_id", "unknown_site"),
        ({"contact_channel": "sms"}, "contact_address", "channel_and_address"),
        ({"payee_name": "A"}, "payee_name", "payee_needs_mechanism_and_name"),
        ({"for_household": "yes"}, "household_code", "household_code_missing"),
        (
            {"for_household": "yes", "household_code": "H-1", "birth_year": "1991"},
            "client_code",
            "code_or_name_missing",
        ),
        ({"for_site": "yes"}, "site_id", "site_id_missing"),
        ({"headcount": "3", "client_code": "c"}, "client_code", "names_a_person"),
        ({"headcount": "3", "birth_year": "1991"}, "birth_year", "names_a_person"),
        ({"headcount": "3", "household_code": "H-1"}, "household_code", "names_a_person"),
        (FOR_SITE | {"client_code": "c", "household_code": "H"}, "client_code", "names_a_person"),
        (FOR_SITE | {"chosen_name": "Sasha"}, "chosen_name", "names_a_person"),
        (FOR_SITE | {"legal_name": "Taras"}, "legal_name", "names_a_person"),
        (
            FOR_SITE | {"contact_channel": "sms", "contact_address": "+380501112233"},
            "contact_channel",
            "names_a_person",
        ),
        (FOR_SITE | {"consents": "contact"}, "consents", "names_a_person"),
        ({"payee_name": "A", "payee_mechanism": "iban"}, "payee_iban", "iban_goes_with_mechanism"),
        (
            {"payee_name": "A", "payee_mechanism": "iban", "payee_iban": IBAN[:-1] + "2"},
            "payee_iban",
            "iban_check_digits",
        ),
        ({"payee_name": "A", "payee_mechanism": "card"}, "payee_card", "card_goes_with_mechanism"),
        ({"payee_name": "A", "payee_mechanism": "post"}, "payee_address", "post_needs_address"),
        ({"answer_unheard_of": "yes"}, "row", "unknown"),
        ({"favourite_color": "red"}, "row", "unknown"),
    ],
)  # fmt: skip
def test_each_fault_has_a_code_of_ours_and_a_column(
    cells: dict[str, str], column: str, rule: str
) -> None:
    with pytest.raises(RowError) as caught:
        parse_row(GOOD | cells)
    assert [(each.column, each.rule) for each in caught.value.problems] == [(column, rule)]
    assert rule in OF_ROWS


@pytest.mark.parametrize(
    ("more", "somebody"),
    [
        ({}, False),
        ({"languages": "uk", "origin_area": "UA14", "note": "Comes with a dog"}, False),
        ({"client_code": "c"}, True),
        ({"chosen_name": "Sasha"}, True),
        ({"legal_name": "Taras", "birth_year": "1991", "consents": "data"}, True),
    ],
)
def test_a_household_of_whom_nothing_is_said_names_nobody(
    more: dict[str, str], somebody: bool
) -> None:
    row = parse_row(GOOD | {"for_household": "yes", "household_code": "H-1"} | more)
    day = date(2024, 5, 2)
    kinds = {kind.code: kind for kind in packaged()}
    draft = draft_row(row, day, kinds, "kobo", uuid4(), datetime(2024, 5, 2, 9, tzinfo=UTC))
    assert (draft.described is not None) is somebody
    assert isinstance(draft.person, PersonDraft)
    assert draft.person.household_code == "H-1"


@pytest.mark.parametrize("whom", [{"headcount": "3"}, FOR_SITE])
def test_what_a_file_says_in_each_row_is_no_person(whom: dict[str, str]) -> None:
    everywhere = {"languages": "uk", "contact_wording": "neutral", "contact_hours": "10:00-18:00"}
    parse_row(GOOD | whom | everywhere)


def test_every_hour_has_its_form() -> None:
    reached = {"contact_channel": "sms", "contact_address": "+380501112233"}
    with pytest.raises(RowError) as caught:
        parse_row(GOOD | reached | {"contact_hours": "10:00-25:00"})
    assert [each[:2] for each in caught.value.problems] == [("contact_hours", "not_hours")]


def test_each_example_of_a_column_is_one() -> None:
    together: dict[str, dict[str, str]] = {
        "contact_channel": {"contact_address": "a@example.org"},
        "contact_address": {"contact_channel": "email"},
        "contact_safe": {
            "contact_channel": "email", "contact_address": "a@example.org",
            "contact_hours": "10:00-18:00", "contact_wording": "neutral",
        },
        "for_household": {"household_code": "H-1"},
        "payee_mechanism": {"payee_name": "A", "payee_iban": IBAN},
        "payee_name": {"payee_mechanism": "cash"},
        "payee_iban": {"payee_name": "A", "payee_mechanism": "iban"},
        "payee_card": {"payee_name": "A", "payee_mechanism": "card"},
        "payee_address": {"payee_name": "A", "payee_mechanism": "post"},
    }  # fmt: skip
    for name, field in ImportRow.model_fields.items():
        assert field.examples, name
        columns = [ANSWER + each for each in ANSWERS] if name == "answers" else [name]
        for column in columns:
            row = parse_row(GOOD | together.get(name, {}) | {column: str(field.examples[0])})
            assert name in row.model_fields_set


def test_every_rule_that_a_request_breaks_is_listed() -> None:
    said: set[str] = set()
    for path in (*SOURCES.glob("domain/*.py"), *SOURCES.glob("handlers/*.py")):
        said |= set(re.findall(r'AskError\(\s*"[a-z_]+", "([a-z_]+)"', path.read_text("utf-8")))
    importing = (SOURCES / "handlers" / "importing.py").read_text("utf-8")
    said |= set(re.findall(r'chunk\.reject\(\s*line, "[a-z_]+", "([a-z_]+)"', importing))
    said |= set(re.findall(r'OTHER_HOUSEHOLD: Final = \("[a-z_]+", "([a-z_]+)"\)', importing))
    assert said == OF_REQUESTS


def test_every_rule_that_a_row_sets_itself_is_listed() -> None:
    said: set[str] = set()
    for name in ("rows", "persons"):
        text = (SOURCES / "domain" / f"{name}.py").read_text("utf-8")
        said |= set(re.findall(r'PydanticCustomError\(\s*"([a-z_]+)"', text))
    assert len(said) > 10
    # A row without them does not come so far as to be a contact.
    assert said - OF_ROWS == {"safe_needs_hours_and_wording"}


def test_every_rule_of_files_is_listed() -> None:
    text = (SOURCES / "handlers" / "reading.py").read_text("utf-8")
    said = set(re.findall(r'Unreadable\("([a-z_0-9]+)"', text))
    said |= set(re.findall(r'Unreadable\("([a-z_]+)" if .+ else "([a-z_]+)"', text)[0])
    assert said == RULES
