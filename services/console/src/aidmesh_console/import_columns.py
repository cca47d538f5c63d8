"""The columns of an import file, what the desk calls them, and an example of such a file.

Which there are is intake's to say; a test compares these with its row.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.pages.registering import ANSWERS
from aidmesh_contracts.headers import tidy


class Column(NamedTuple):
    """How a cell of a column is written.

    Attributes:
        form: which text says it, `column_form.<form>`.
        words: the words that are allowed, where only some are.
    """

    form: str
    words: tuple[str, ...] = ()


_ANSWER: Final = "answer_"
COLUMNS: Final[Mapping[str, Column]] = {
    "row_id": Column("number"),
    "kind": Column("kind"),
    "quantity": Column("whole"),
    "asked_on": Column("day"),
    "client_code": Column("text"),
    "chosen_name": Column("text"),
    "legal_name": Column("text"),
    "birth_year": Column("year"),
    "languages": Column("languages"),
    "area": Column("area"),
    "origin_area": Column("area"),
    "place_area": Column("area"),
    "site_code": Column("site"),
    "site_id": Column("id"),
    "household_code": Column("text"),
    "for_household": Column("yes_no"),
    "for_site": Column("yes_no"),
    "headcount": Column("whole"),
    "contact_channel": Column("word", ("email", "sms", "file")),
    "contact_address": Column("text"),
    "contact_hours": Column("hours"),
    "contact_wording": Column("word", ("neutral", "plain")),
    "contact_safe": Column("yes_no"),
    "consents": Column("words", ("contact", "data", "referral", "same_person")),
    "needed_by": Column("day"),
    "planned_on": Column("day"),
    "from_on": Column("day"),
    "to_on": Column("day"),
    "exposed_at": Column("moment"),
    "features": Column("codes"),
    "given": Column("yes_no"),
    "served_on": Column("day"),
    "amount_minor": Column("minor"),
    "payee_mechanism": Column("word", ("iban", "card", "post", "cash")),
    "payee_name": Column("text"),
    "payee_iban": Column("text"),
    "payee_card": Column("text"),
    "payee_tax_number": Column("text"),
    "payee_address": Column("text"),
    "note": Column("text"),
    **{_ANSWER + each: Column("yes_no") for each in ANSWERS},
}
"""What a file may hold, in the order in which one looks for it."""

NEEDED: Final = ("row_id", "kind")
"""Columns without which no row is taken in."""

_YES: Final = "yes"
EXAMPLE: Final[tuple[Mapping[str, str], ...]] = (
    {
        "row_id": "example-1", "client_code": "EXAMPLE-1", "chosen_name": "Alex",
        "languages": "uk", "area": "UA80", "kind": "food_parcel", "quantity": "1",
        "asked_on": "2024-05-02", "contact_channel": "email",
        "contact_address": "alex@example.org", "contact_hours": "10:00-18:00",
        "contact_wording": "neutral", "contact_safe": _YES, "consents": "contact",
    },
    {
        "row_id": "example-2", "client_code": "EXAMPLE-2", "languages": "uk, en", "area": "UA80",
        "kind": "hygiene_kit", "quantity": "2", "asked_on": "2024-05-02",
        "household_code": "EXAMPLE-H1", "for_household": _YES,
    },
    {
        "row_id": "example-3", "kind": "condoms_lubricant", "quantity": "30",
        "asked_on": "2024-05-03", "place_area": "UA80", "headcount": "30", "given": _YES,
        "served_on": "2024-05-03",
    },
)  # fmt: skip
"""Three requests: a person's, a household's, and outreach that was done."""


def name_of(say: Speaker, column: str) -> str:
    """What a column is called in a language."""
    if column.startswith(_ANSWER):
        return say("answer." + column.removeprefix(_ANSWER))
    return say.code("column", column)


@cache
def names() -> Mapping[str, str]:
    """What columns are called in every language of the desk, each with its column."""
    speakers = [Speaker(each) for each in LANGUAGES]
    return {name_of(say, column): column for say in speakers for column in COLUMNS}


def column_of(name: str) -> str | None:
    """The column of a code, or of what it is called in any language; None if there is none."""
    return _by_name().get(tidy(name))


@cache
def _by_name() -> Mapping[str, str]:
    return {tidy(name): column for name, column in names().items()} | {
        column: column for column in COLUMNS
    }


def example(say: Speaker | None = None) -> str:
    """The example as CSV.

    Args:
        say: names the columns, and parts them as spreadsheets of the language do; None for their
            codes and commas.
    """
    used = [column for column in COLUMNS if any(column in row for row in EXAMPLE)]
    text = io.StringIO()
    delimiter = "," if say is None or say.language == "en" else ";"
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n" if say else "\n")
    writer.writerow(used if say is None else [name_of(say, each) for each in used])
    writer.writerows(list(_cells(row, used, say)) for row in EXAMPLE)
    return text.getvalue()


def _cells(row: Mapping[str, str], used: list[str], say: Speaker | None) -> Iterator[str]:
    for column in used:
        cell = row.get(column, "")
        yield say("yes") if say is not None and cell == _YES else cell
