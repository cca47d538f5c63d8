"""What is compared of people, and the boxes in which it travels."""

from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_intake.domain.lookup import (
    BEFORE_MAX,
    ELEMENT_BYTES,
    INPUTS,
    LISTED_MIN,
    PROOF_BYTES,
    TOKEN_BYTES,
    AnswerBox,
    AskBox,
    CloseBox,
    Damaged,
    Index,
    Known,
    inputs_of,
    padded_count,
    phone_of,
    shown,
    words_of,
)
from aidmesh_intake.domain.persons import Channel, Contact, Details

VALUES = st.binary(min_size=64, max_size=64)


def details(
    legal_name: str | None = None,
    chosen_name: str | None = None,
    birth_year: int | None = 1984,
    address: str | None = None,
    channel: Channel = "sms",
) -> Details:
    return Details(
        legal_name=None if legal_name is None else PersonalText(legal_name),
        chosen_name=None if chosen_name is None else PersonalText(chosen_name),
        birth_year=None if birth_year is None else PersonalYear(birth_year),
        contact=None
        if address is None
        # As it was stored before the form of an address was asked for.
        else Contact.model_construct(channel=channel, address=PersonalText(address)),
    )


@pytest.mark.parametrize(
    "written",
    ["+380 50 123-45-67", "0501234567", "80501234567", "00380501234567", "\uff10 (50) 123 45 67"],
)
def test_a_number_is_one_however_it_is_written(written: str) -> None:
    assert phone_of(written) == "380501234567"


def test_other_numbers_stay_others() -> None:
    assert phone_of("+49 30 1234567") == "49301234567"
    assert phone_of("0501234568") != phone_of("0501234567")
    assert phone_of("12345") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Олена Шевченко", "ШЕВЧЕНКО  Олена"),
        ("Юлія Мар'яненко", "Yuliia Marianenko"),
        ("Згурський Єгор", "Yehor Zghurskyi"),
        ("Дарʼя Ґалаґан", "Daria Galagan"),
        ("Müller, Jürgen", "jurgen MULLER"),
    ],
)
def test_a_name_is_one_in_either_script_and_order(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)


def test_names_that_differ_stay_others() -> None:
    assert words_of("Галина Ковальчук") != words_of("Ґалина Ковальчук")


def test_a_first_name_or_a_name_without_a_year_is_not_compared() -> None:
    assert inputs_of(details("Олена"), "lviv", None) == []
    assert inputs_of(details("Олена Шевченко", birth_year=None), "lviv", None) == []


def test_what_is_compared() -> None:
    person = details("Олена Шевченко", "Lena Sh", address="050 123 45 67")
    found = inputs_of(person, "lviv", PersonalText("LV-17"))
    assert [each.means for each in found] == ["code", "contact", "name", "name"]
    assert len(found) == INPUTS
    assert found[0] != inputs_of(person, "odesa", PersonalText("LV-17"))[0]
    mail = details(address=" Lena@Example.org", channel="email")
    assert inputs_of(mail, "lviv", None)[0].data == b"email:lena@example.org"
    assert inputs_of(details(address="a file", channel="file"), "lviv", None) == []
    # One name twice is one thing.
    assert len(inputs_of(details("Олена Шевченко", "Шевченко Олена"), "lviv", None)) == 1


@given(st.text(max_size=60))
def test_any_text_can_be_a_name_or_a_number(text: str) -> None:
    assert words_of(text) == sorted(words_of(text))
    number = phone_of(text)
    assert number is None or number.isdigit()


@given(st.lists(VALUES, max_size=INPUTS), st.lists(st.uuids(), max_size=BEFORE_MAX))
def test_who_found_nothing_says_as_much_as_who_found_something(
    values: list[bytes], before: list[UUID]
) -> None:
    lookup_id = uuid4()
    box = CloseBox(lookup_id, tuple(shown(each) for each in values), tuple(before))
    plain = box.to_bytes()
    assert len(plain) == len(CloseBox(lookup_id).to_bytes())
    read = CloseBox.from_bytes(plain, lookup_id)
    assert set(read.values) == {each for each in box.values if any(each)}
    assert set(read.before) == {each for each in before if each.int}


def test_boxes_belong_to_their_query() -> None:
    lookup_id = uuid4()
    elements = (bytes(ELEMENT_BYTES),) * INPUTS
    tokens = tuple(number.to_bytes(TOKEN_BYTES, "big") for number in range(LISTED_MIN))
    boxes = (
        (AskBox, AskBox(lookup_id, elements).to_bytes()),
        (AnswerBox, AnswerBox(lookup_id, elements, tokens).to_bytes()),
        (CloseBox, CloseBox(lookup_id).to_bytes()),
    )
    for box, plain in boxes:
        assert box.from_bytes(plain, lookup_id).to_bytes() == plain
        for wrong in (plain[:-1], plain + b"\x00", plain[:16]):
            with pytest.raises(Damaged):
                box.from_bytes(wrong, lookup_id)
        with pytest.raises(Damaged):
            box.from_bytes(plain, uuid4())


@given(st.integers(0, 60_000))
@example(LISTED_MIN)
@example(2 * LISTED_MIN)
def test_the_size_of_a_list_tells_little_of_what_is_in_it(count: int) -> None:
    size = padded_count(count)
    assert size >= max(count, LISTED_MIN)
    assert size & (size - 1) == 0
    assert size == LISTED_MIN or size < 2 * count


@given(st.lists(st.tuples(VALUES, st.uuids(), st.sampled_from(["code", "contact", "name"]))))
def test_an_index_finds_whom_values_are_of_and_nobody_by_what_was_listed(
    entries: list[tuple[bytes, UUID, str]],
) -> None:
    index = Index()
    for value, person_id, means in entries:
        index.add(value, Known(person_id, means))  # type: ignore[arg-type]
    kept = Index.from_bytes(index.to_bytes())
    assert kept.entries == index.entries
    found = kept.found([shown(value) for value, _, _ in entries])
    assert set(found) == {person_id for _, person_id, _ in entries}
    # Whoever has the list alone cannot name anybody.
    assert kept.found([token + bytes([1]) * PROOF_BYTES for token in kept.tokens]) == {}
