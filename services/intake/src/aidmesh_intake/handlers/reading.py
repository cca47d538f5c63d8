"""Files of an import into rows of text: CSV, XLSX, NDJSON, with columns renamed by a mapping."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from aidmesh_contracts.headers import tidy
from aidmesh_intake.domain.rows import FIELDS
from aidmesh_intake.handlers.workbook import NotAWorkbook, TooLarge, sheet_rows

Format = Literal["csv", "xlsx", "ndjson"]
ROWS_MAX: Final = 200_000
COLUMNS_MAX: Final = 400
NAMES_MAX: Final = 1000
"""Of columns that a mapping knows: those of one file, and what else they may be called."""
CELL_CHARS_MAX: Final = 8000
SITE_CODE: Final = "site_code"
"""A column for `site_id` that holds the site's code, where the mapping lists the sites."""


class ColumnMapping(BaseModel):
    """How a file's columns become fields. Kobo's groups are written `group/question`.

    Attributes:
        columns: the file's column → field. There may be more than the file has.
        ignore: columns that are left out; `*` stands for anything, as in `meta/*`, and leaves out
            only what is no field.
        constants: fields that are the same for every row.
        sites: the file's site codes → the ids that inventory gave them.
        header: the sender says that the first line holds the names of columns, so that they are
            told which are not known even where none is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str] = Field(default_factory=dict, max_length=NAMES_MAX)
    ignore: Annotated[tuple[str, ...], Field(max_length=COLUMNS_MAX)] = ()
    constants: dict[str, str] = Field(default_factory=dict, max_length=100)
    sites: dict[str, str] = Field(default_factory=dict, max_length=2000)
    header: bool = False

    @cached_property
    def _fields(self) -> Mapping[str, str]:
        return {tidy(column): field for column, field in self.columns.items()}

    @cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset(map(tidy, self.ignore))

    def field_of(self, column: str) -> str | None:
        """The field of a column, None for one that is ignored.

        Raises:
            KeyError: it is neither mapped, nor ignored, nor a field itself.
        """
        name = tidy(column)
        # By its own name it is left out whatever fields are called; `*` means all that is no field.
        # A name may hold what a pattern means otherwise, such as brackets.
        if name in self._left_out:
            return None
        field = self._fields.get(name, name)
        if field in FIELDS or field == SITE_CODE:
            return field
        if any(fnmatchcase(column, each) for each in self.ignore):
            return None
        raise KeyError(column)


RULES: Final = frozenset(
    {
        "bad_csv",
        "bad_json",
        "bad_xlsx",
        "cell_not_acceptable",
        "column_named_twice",
        "more_cells_than_columns",
        "no_header",
        "not_an_object",
        "not_utf8",
        "too_large_unpacked",
        "too_many_columns",
        "too_many_rows",
        "two_values_for_one_field",
    }
)
"""What a file can break, so that it is not read at all."""


class Unreadable(Exception):
    """The file is not what it says it is; `rule` is a code, `line` where it was noticed."""

    def __init__(self, rule: str, line: int | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.line = line


class Unmapped(Exception):
    """Columns that are not known; nothing is taken in before somebody says what they are.

    Attributes:
        columns: their names, in the order of the file. For nobody but its sender.
        are_names: the file names a column that is known, or its sender says that it names them.
            Otherwise its first line may be somebody's data.
    """

    def __init__(self, columns: Sequence[str], *, are_names: bool) -> None:
        super().__init__(f"{len(columns)} columns")
        self.columns = columns
        self.are_names = are_names


Rows = list[tuple[int, dict[str, str]]]


def read_rows(body: bytes, kind: Format, mapping: ColumnMapping) -> Rows:
    """Read a whole file: rows by field, each with its line as spreadsheets number it.

    The header is line 1, and a cell of several lines is still in one.

    Empty cells are left out.

    Raises:
        Unreadable: it cannot be read, has too many rows, or a row says two things of one field.
        Unmapped: columns are neither fields, nor mapped, nor ignored.
    """
    raw = {"csv": _csv, "xlsx": _xlsx, "ndjson": _ndjson}[kind](body)
    known: dict[str, str | None] = {}
    unmapped: dict[str, None] = {}
    rows: Rows = []
    for line, cells in raw:
        if len(rows) >= ROWS_MAX:
            raise Unreadable("too_many_rows", line)
        row = dict(mapping.constants)
        said: dict[str, str] = {}
        for column, value in cells:
            if column not in known:
                if not column and not value:
                    continue  # beside the table there is nothing
                try:
                    known[column] = mapping.field_of(column)
                except KeyError:
                    unmapped[column] = None
                    known[column] = None
            field = known[column]
            if field is not None and value:
                if said.setdefault(field, value) != value:
                    raise Unreadable("two_values_for_one_field", line)
                row[field] = value
        if not any(value for _, value in cells):
            continue
        code = row.pop(SITE_CODE, None)
        if code is not None:
            row["site_id"] = mapping.sites.get(code, "unknown")
        rows.append((line, row))
    if unmapped:
        are_names = mapping.header or any(field is not None for field in known.values())
        raise Unmapped(list(unmapped), are_names=are_names)
    return rows


def _csv(body: bytes) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("not_utf8") from None
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = _header(next(reader, []))
        for line, cells in enumerate(reader, start=2):
            if len(cells) > len(header):
                raise Unreadable("more_cells_than_columns", line)
            yield (
                line,
                [
                    (column, _bounded(value.strip(), line))
                    for column, value in zip(header, cells, strict=False)
                ],
            )
    except csv.Error:
        raise Unreadable("bad_csv", reader.line_num) from None


def _xlsx(body: bytes) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    header: list[str] | None = None
    try:
        for line, cells in enumerate(sheet_rows(body), start=1):
            if header is None:
                header = _header([_text(cell) for cell in cells])
                continue
            yield (
                line,
                [
                    (column, _bounded(_text(cell), line))
                    for column, cell in zip(header, cells, strict=False)
                ],
            )
    except NotAWorkbook:
        raise Unreadable("bad_xlsx") from None
    except TooLarge:
        raise Unreadable("too_large_unpacked") from None


def _ndjson(body: bytes) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    for line, raw in enumerate(body.split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            found: JsonValue = json.loads(raw)
        except (ValueError, RecursionError):
            raise Unreadable("bad_json", line) from None
        if not isinstance(found, dict):
            raise Unreadable("not_an_object", line)
        yield line, [(name, _bounded(value, line)) for name, value in _flat(found)]


def _flat(found: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested objects become `a/b`, lists of plain values one text."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, list):
            yield f"{prefix}{name}", " ".join(_text(each) for each in value)
        else:
            yield f"{prefix}{name}", _text(value)


def _text(cell: object) -> str:
    """A cell as people would type it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).strip()


def _bounded(value: str, line: int) -> str:
    if len(value) > CELL_CHARS_MAX or "\0" in value:
        raise Unreadable("cell_not_acceptable", line)
    return value


def _header(cells: Sequence[str]) -> list[str]:
    header = [" ".join(_bounded(cell, 1).split()) for cell in cells]
    named = [cell for cell in header if cell]
    if not named or len(header) > COLUMNS_MAX:
        raise Unreadable("no_header" if not named else "too_many_columns", 1)
    if len(set(named)) != len(named):
        raise Unreadable("column_named_twice", 1)
    return header
