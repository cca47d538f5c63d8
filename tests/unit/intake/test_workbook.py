"""Workbooks are read within bounds, whatever they say of themselves."""

import struct
import tracemalloc

import pytest

from aidmesh_intake.handlers import workbook as reader
from aidmesh_intake.handlers.reading import ColumnMapping, Unreadable, read_rows
from aidmesh_intake.handlers.workbook import NotAWorkbook, TooLarge, sheet_rows
from support.workbooks import cells, packed, parts, workbook

ROWS: list[list[str | int]] = [["row_id", "kind"], [1, "food_parcel"], [2, "food_parcel"]]
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "UNPACKED_BYTES_MAX", 1_000_000)


def test_rows_come_with_their_lines() -> None:
    assert [list(row) for row in sheet_rows(workbook(ROWS))] == ROWS
    gap = workbook([["row_id", "kind"]], more='<row r="4"><c r="A4"><v>7</v></c></row>')
    assert read_rows(gap, "xlsx", ColumnMapping()) == [(4, {"row_id": "7"})]


def test_what_unpacks_to_too_much_is_not_unpacked(small: None) -> None:
    bomb = packed({**parts(cells(ROWS)), "xl/sharedStrings.xml": b" " * 200_000_000})
    assert len(bomb) < 400_000
    tracemalloc.start()
    with pytest.raises(TooLarge):
        list(sheet_rows(bomb))
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_many_parts_are_counted_together(small: None) -> None:
    strings = {f"xl/part{number}.xml": b" " * 400_000 for number in range(3)}
    with pytest.raises(TooLarge):
        list(sheet_rows(packed({**parts(cells(ROWS)), **strings})))
    pictures = {f"xl/media/{number}.png": b" " * 400_000 for number in range(9)}
    assert len(list(sheet_rows(packed({**parts(cells(ROWS)), **pictures})))) == 3


def test_a_part_that_lies_about_its_size_is_cut_off(small: None) -> None:
    honest = packed({**parts(cells(ROWS)), "xl/sharedStrings.xml": b" " * 100_000_000})
    size = struct.pack("<L", 100_000_000)
    assert honest.count(size) == 2
    tracemalloc.start()
    with pytest.raises(NotAWorkbook):
        list(sheet_rows(honest.replace(size, struct.pack("<L", 1000))))
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "far",
    [
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="9"><c s="1" r="XFD9"><v>1</v></c></row><row r="900"><c r="A900"/></row>',
        '<x:row xmlns:x="u" r="1048576"><x:c r="ZZ1048576"><x:v>1</x:v></x:c></x:row>',
    ],
)
def test_a_sheet_that_reaches_too_far_is_refused(far: str) -> None:
    with pytest.raises(TooLarge):
        list(sheet_rows(workbook(ROWS, more=far)))


@pytest.mark.parametrize(
    "cell",
    [
        "<c><v>1</v></c>",
        "<c\n/>",
        "<c t=' r=\"A1\"' r='XFD1048576'><v>1</v></c>",
        '<c r="a1"><v>1</v></c>',
    ],
)
def test_a_cell_without_its_place_is_refused(cell: str) -> None:
    with pytest.raises(NotAWorkbook):
        list(sheet_rows(workbook(ROWS, more=f'<row r="1048576">{cell}</row>')))


def test_other_formats_of_the_reader_are_refused() -> None:
    calc = packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet",
                   "content.xml": "<x/>"})  # fmt: skip
    binary = packed({"xl/workbook.bin": b"\x83\x01"})
    for body in (b"", b"PK", b"\xd0\xcf\x11\xe0" * 200, calc, binary, workbook(ROWS)[:-9]):
        with pytest.raises(NotAWorkbook):
            list(sheet_rows(body))


def test_reading_stops_at_the_most_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aidmesh_intake.handlers.reading.ROWS_MAX", 5)
    many = workbook([["row_id"], *([number] for number in range(9))])
    with pytest.raises(Unreadable, match="too_many_rows"):
        read_rows(many, "xlsx", ColumnMapping())
