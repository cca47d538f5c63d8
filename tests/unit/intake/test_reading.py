"""What stands in a file is taken in, refused, or left out by name: nothing is lost on the way."""

import csv
import io
import json
from collections.abc import Sequence
from unicodedata import normalize

import pytest

from aidmesh_intake.handlers.reading import ColumnMapping, Format, Unmapped, Unreadable, read_rows
from support.workbooks import workbook

FORMATS: tuple[Format, ...] = ("csv", "xlsx", "ndjson")
PHONES = ColumnMapping(columns={"adult/phone": "contact_address", "child/phone": "contact_address"})


def file_of(kind: Format, rows: Sequence[Sequence[str]]) -> bytes:
    if kind == "xlsx":
        return workbook(rows)
    if kind == "ndjson":
        header, *rest = rows
        return "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rest).encode()
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_value_in_a_column_without_a_name_is_not_left_out(kind: Format) -> None:
    unnamed = [["row_id", ""], ["1", ""], ["2", "urgent"]]
    with pytest.raises(Unmapped):
        read_rows(file_of(kind, unnamed), kind, ColumnMapping())
    assert read_rows(file_of(kind, unnamed[:2]), kind, ColumnMapping()) == [(_first(kind), _ROW)]
    ignored = ColumnMapping(ignore=("",))
    assert len(read_rows(file_of(kind, unnamed), kind, ignored)) == 2


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_of_one_field_complete_each_other(kind: Format) -> None:
    header = ["row_id", "adult/phone", "child/phone"]
    rows = [header, ["1", "050", ""], ["2", "", "067"], ["3", "063", "063"]]
    found = [row["contact_address"] for _, row in read_rows(file_of(kind, rows), kind, PHONES)]
    assert found == ["050", "067", "063"]


@pytest.mark.parametrize("kind", FORMATS)
def test_two_values_for_one_field_are_refused_with_their_line(kind: Format) -> None:
    rows = [["row_id", "adult/phone", "child/phone"], ["1", "050", "067"]]
    with pytest.raises(Unreadable) as refused:
        read_rows(file_of(kind, rows), kind, PHONES)
    assert (refused.value.rule, refused.value.line) == ("two_values_for_one_field", _first(kind))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_says_more_than_what_is_the_same_for_every_row(kind: Format) -> None:
    mapping = ColumnMapping(constants={"kind": "food_parcel"})
    rows = [["row_id", "kind"], ["1", ""], ["2", "hygiene_kit"]]
    found = [row["kind"] for _, row in read_rows(file_of(kind, rows), kind, mapping)]
    assert found == ["food_parcel", "hygiene_kit"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name", ["Ім’я  людини", "ІМ'Я ЛЮДИНИ", " Ім'я\nлюдини", normalize("NFD", "Ім’я людини")]
)
def test_ways_to_write_a_name_of_a_column_make_no_other(kind: Format, name: str) -> None:
    mapping = ColumnMapping(columns={"Ім'я людини": "chosen_name"}, ignore=("Телефон [осн.]*",))
    rows = [["Row_ID", name, "телефон [осн.]*"], ["1", "Саша", "067"]]
    found = read_rows(file_of(kind, rows), kind, mapping)
    assert found == [(_first(kind), {"row_id": "1", "chosen_name": "Саша"})]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_name_that_is_too_long_is_refused(kind: Format) -> None:
    with pytest.raises(Unreadable) as refused:
        read_rows(file_of(kind, [["row_id", "x" * 8001], ["1", ""]]), kind, ColumnMapping())
    assert (refused.value.rule, refused.value.line) == ("cell_not_acceptable", 1)


_ROW = {"row_id": "1"}


def _first(kind: Format) -> int:
    """The line of the first row."""
    return 1 if kind == "ndjson" else 2


def test_what_is_left_out_by_its_name_is_so_even_if_it_is_a_field() -> None:
    mapping = ColumnMapping(columns={"Notiz": "note"}, ignore=("Note", "Notiz", "Legal_Name", "*"))
    assert [mapping.field_of(each) for each in ("note", "Notiz", "legal_name", "anything")] == [
        None
    ] * 4
    assert mapping.field_of("kind") == "kind"
