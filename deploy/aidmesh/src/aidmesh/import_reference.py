"""What a file of requests may hold, written from the row that intake checks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aidmesh.reference_tables import described, table
from aidmesh_console import import_columns
from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.pages.common import AREAS
from aidmesh_contracts.days import FIRST_DAY, LAST_DAY
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.row_rules import OF_REQUESTS, OF_ROWS
from aidmesh_intake.domain.rows import ANSWER, ImportRow
from aidmesh_intake.domain.triage import ANSWERS
from aidmesh_intake.handlers.reading import RULES, SITE_CODE

HEAD: Final = """# Importing requests

Generated from the code by `make documents`; a test compares it with the code.
A file of requests is CSV (comma or semicolon, UTF-8), XLSX (its first sheet) or NDJSON, with one
need a row. Its first line names the columns listed below, in any order; of a JSON object the names
do, those of nested ones joined by `/`. Two of them are needed in every row: `row_id` and `kind`.

At the desk (Register → Many requests in a file?) the file is tried first, and taken in only as it
was tried; from a terminal:

```sh
aidmesh import requests.csv --source kobo-kyiv --dry-run --data DIR
aidmesh import requests.csv --source kobo-kyiv --mapping mapping.json --data DIR
```

A yes is written `yes`, `true`, `1`, `так` or `ja`, a no `no`, `false`, `0`, `ні`, `nein` or
nothing; a day as `2024-05-02` or, as spreadsheets save it, `02.05.2024`. Cells may be empty.

Rows are known by `source` and `row_id`: a file that is sent twice counts once, good rows stay, and
those that were rejected are tried again when the file is sent again. Faults are told by row, column
and [rule](#rules), never by value. Rows have the numbers that a spreadsheet gives them.

To begin with: [requests.csv](examples/requests.csv), whose columns have the names below, and
[kobo.csv](examples/kobo.csv), whose columns have names of their own, with its
[mapping](examples/kobo-mapping.json). The desk gives the first in its own language.

## Columns of other names

At the desk each column that is not known is shown with a list of what it may mean; columns may also
be called as the desk calls them, in any of its languages. Everywhere else a mapping says it, a JSON
file for `--mapping`, or the part `mapping` of the form that is posted to `/v1/requests:import`:

| | |
|---|---|
| `columns` | the file's column → one of those below |
| `ignore` | columns that are left out; `*` stands for anything, as in `meta/*` |
| `constants` | a column below → what it is in every row that says nothing else |
| `sites` | the codes of `site_code` → the ids of the sites; the desk fills it in by itself |
| `header` | `true`: the first line does name columns, though none of them is known |

Capitals and blanks make no difference. A column that is neither known, nor mapped, nor ignored is
refused, and nothing is taken in: the answer names such columns (`columns` of the problem
[`unmapped-columns`](problems.md)) to whoever sent the file, and to nobody else. Where none is known
it says `***` for each, since the first line may be no header but the first person of a list;
`header` says that it is one ([why](decisions/0079-who-sends-a-file-is-told-its-columns.md)).
"""

_LISTED: Final = {
    "kind": "kinds-of-help",
    "area": "areas",
    "origin_area": "areas",
    "place_area": "areas",
}
"""Where the page lists what a column may hold."""


def page() -> str:
    """The page on files of requests."""
    speakers = [Speaker(each) for each in LANGUAGES]
    english = Speaker("en")
    return (
        HEAD
        + table(
            "Columns",
            ("column", "what it is", "needed", "form", "example", "at the desk"),
            (
                (
                    f"`{name}`",
                    meaning,
                    "yes" if needed else "",
                    form,
                    f"`{example}`",
                    " · ".join(
                        dict.fromkeys(import_columns.name_of(say, name) for say in speakers)
                    ),
                )
                for name, meaning, needed, form, example in _columns(english)
            ),
        )
        + table(
            "Kinds of help",
            ("`kind`", "name", "for"),
            ((f"`{each.code}`", each.names.en, ", ".join(each.for_whom)) for each in packaged()),
        )
        + "\nThese come with the package; leads may change them, and add others. The desk lists"
        " those of the region.\n"
        + table(
            "Areas",
            ("`area`", "name"),
            ((f"`{each}`", " · ".join(say("area." + each) for say in speakers)) for each in AREAS),
        )
        + table(
            "Rules",
            ("rule", "what it means"),
            ((f"`{each}`", english("rule." + each)) for each in sorted(OF_ROWS | OF_REQUESTS)),
        )
        + "\nA file that cannot be read at all (problem [`unreadable-file`](problems.md)) has one"
        " of these.\n"
        + table(
            "Rules of files",
            ("rule", "what it means"),
            ((f"`{each}`", english("rule." + each)) for each in sorted(RULES)),
        )
    )


def example() -> str:
    """The example whose columns have the names of the page."""
    return import_columns.example()


def _columns(english: Speaker) -> Iterator[tuple[str, str, bool, str, str]]:
    """Each column: its name, what it is, whether it is needed, its form and an example."""
    schema = ImportRow.model_json_schema()
    said = described(ImportRow)
    for name, shape in schema["properties"].items():
        if name == "answers":
            continue
        needed = name in schema["required"]
        form = _form(shape) + (f" ([list](#{_LISTED[name]}))" if name in _LISTED else "")
        yield name, said[name].rstrip("."), needed, form, str(shape["examples"][0])
        if name == "site_id":
            yield SITE_CODE, "the site's own code, instead of `site_id`", False, "text", "kyiv-1"
    answers = schema["properties"]["answers"]
    form = _form(answers["additionalProperties"])
    for question in ANSWERS:
        meaning = f"{english('answer.' + question)}? It counts for how urgent it is"
        yield ANSWER + question, meaning, False, form, str(answers["examples"][0])


def _form(shape: Mapping[str, Any]) -> str:
    """How a cell of this JSON Schema is written."""
    for each in shape.get("anyOf", ()):
        if each.get("type") != "null":
            return _form(each)
    if "enum" in shape:
        return "one of " + ", ".join(f"`{each}`" for each in shape["enum"])
    if shape["type"] == "array":
        most = f", {shape['maxItems']} at most" if "maxItems" in shape else ""
        return f"{_form(shape['items'])}; several apart by blanks or commas{most}"
    if shape["type"] == "boolean":
        return "yes or no"
    if shape["type"] == "integer":
        return _whole(shape)
    if shape.get("format") == "date":
        return f"`YYYY-MM-DD` or `DD.MM.YYYY`, from {FIRST_DAY} to {LAST_DAY}"
    if shape.get("format") == "date-time":
        return "date, time and time zone (ISO 8601)"
    if shape.get("format") == "uuid":
        return "a UUID"
    if "pattern" in shape:
        return f"`{shape['pattern'].strip('^$')}`"
    return f"text, up to {shape['maxLength']} characters"


def _whole(shape: Mapping[str, Any]) -> str:
    first = shape.get("minimum", shape.get("exclusiveMinimum", 0) + 1)
    last = f" to {shape['maximum']}" if "maximum" in shape else " on"
    return f"a whole number, from {first}{last}"
