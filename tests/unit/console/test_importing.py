"""Importing a file: tried first, taken in only as it was tried, never kept."""

import csv
import io
import json
import re
from html import unescape
from typing import TYPE_CHECKING

import httpx
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.import_columns import COLUMNS, EXAMPLE, NEEDED, column_of, name_of
from aidmesh_console.pages.importing import FILE_BYTES_MAX, pasted_columns
from aidmesh_intake.domain.row_rules import OF_REQUESTS, OF_ROWS
from aidmesh_intake.domain.rows import FIELDS, ImportRow
from aidmesh_intake.handlers.reading import RULES, SITE_CODE, ColumnMapping
from support.made_up.basics import problem

if TYPE_CHECKING:
    from .conftest import Browser

IMPORT = "POST /v1/requests:import"
ROWS = "row_id,kind,client_code\n1,food_parcel,КИ-7\n".encode()
REPORT: dict[str, object] = {
    "import_id": None, "state": "dry_run", "rows_total": 3, "accepted": 1, "skipped": 1,
    "rejected": 1, "by_state": {},
    "problems": [{"line": 4, "column": "row_id", "rule": "missing"}],
}  # fmt: skip


async def _send(
    browser: "Browser", content: bytes = ROWS, name: str = "march.csv", **fields: str
) -> httpx.Response:
    return await _filled_in(browser, fields, content, name)


async def _filled_in(
    browser: "Browser", fields: dict[str, str], content: bytes = ROWS, name: str = "march.csv"
) -> httpx.Response:
    return await browser.http.post(
        "/import",
        data={"proof": browser.proof, "source": "kobo-kyiv", **fields},
        files={"file": (name, content)},
        headers={"Accept-Language": "en"},
    )


def _mapping(browser: "Browser") -> dict[str, object]:
    """How the desk asked for the last file to be read."""
    content = browser.desk.region.posts[-1][1]["file"]
    assert isinstance(content, bytes)
    found = re.search(rb'name="mapping"\r\n\r\n(.+?)\r\n--', content)
    assert found is not None
    ColumnMapping.model_validate_json(found[1])  # as intake reads it
    mapping: dict[str, object] = json.loads(found[1])
    return mapping


def _columns(page: str) -> list[tuple[str, str]]:
    """The columns that a page asks about, each with what is chosen for it."""
    names = re.findall(r'name="column_[0-9]+" value="([^"]*)"', page)
    found: list[tuple[str, str]] = []
    for number, name in enumerate(names):
        select = page.partition(f'name="field_{number}"')[2].partition("</select>")[0]
        chosen = re.search(r'<option value="([^"]*)" selected>', select)
        found.append((unescape(name), chosen[1] if chosen else ""))
    return found


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
async def worker(browser: "Browser") -> "Browser":
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers[IMPORT] = (200, REPORT)
    return browser


async def test_a_file_is_tried_and_then_taken_in(worker: "Browser") -> None:
    tried = await _send(worker)
    assert tried.status_code == 200, tried.text
    assert "This is what would happen" in tried.text
    assert "КИ-7" not in tried.text
    key = _hidden(tried.text, "key")
    done = await _send(worker, take_in="1", seen=_hidden(tried.text, "seen"), key=key)
    assert "Taken in" in done.text
    asked = worker.desk.region.queries
    assert [query["dry_run"] for query in asked] == ["true", "false"]
    assert asked[1]["source"] == "kobo-kyiv"
    assert asked[1]["format"] == "csv"
    _, (path, body, headers) = worker.desk.region.posts
    assert path == "/v1/requests:import"
    assert headers["idempotency-key"] == key
    content = body["file"]
    assert isinstance(content, bytes)
    assert ROWS in content
    assert b'"sites": {"kyiv-1"' in content
    assert _mapping(worker)["header"] is False


async def test_a_second_try_is_the_same_to_the_byte(worker: "Browser") -> None:
    seen = _hidden((await _send(worker)).text, "seen")
    key = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
    worker.desk.region.answers[IMPORT] = (503, {})
    answer = await _send(worker, take_in="1", seen=seen, key=key)
    assert answer.status_code == 503
    assert _hidden(answer.text, "key") == key
    assert _hidden(answer.text, "seen") == seen
    await _send(worker, take_in="1", seen=seen, key=key)
    _, one, two = worker.desk.region.posts
    assert one[1] == two[1]
    assert one[2]["content-type"] == two[2]["content-type"]


@pytest.mark.parametrize(
    "changed", [{"content": ROWS + b"2,legal,x\n"}, {"source": "other"}, {"mapping": "a = kind"}]
)
async def test_what_was_not_tried_is_not_taken_in(
    worker: "Browser", changed: dict[str, object]
) -> None:
    seen = _hidden((await _send(worker)).text, "seen")
    answer = await _send(worker, take_in="1", seen=seen, **changed)  # type: ignore[arg-type]
    assert "This is another file" in answer.text
    assert [query["dry_run"] for query in worker.desk.region.queries] == ["true", "true"]


async def test_a_report_names_line_column_and_rule(worker: "Browser") -> None:
    text = (await _send(worker)).text
    assert re.search(r">4</td><td[^>]*>Row number</td><td>missing</td>", text)
    far = {"line": 5, "column": "needed_by", "rule": "day_out_of_range", "ge": "2000-01-01"}
    worker.desk.region.answers[IMPORT] = (200, REPORT | {"problems": [far]})
    assert "only days from 2000 to 2099 are possible" in (await _send(worker)).text


async def test_a_fault_is_told_by_the_files_own_column_and_in_words(worker: "Browser") -> None:
    faults = [
        {"line": 2, "column": "asked_on", "rule": "not_a_day"},
        {"line": 3, "column": "contact_channel", "rule": "not_one_of_the_words"},
        {"line": 4, "column": "site_id", "rule": "unknown_site"},
    ]
    worker.desk.region.answers[IMPORT] = (200, REPORT | {"problems": faults})
    text = (await _send(worker, mapping="Коли = asked_on\nДе = site_code")).text
    assert "Коли · Asked on" in text
    assert "this is no day; write 2024-05-02 or 02.05.2024" in text
    assert "it has to be one of these words: email, sms, file" in text
    assert "Де · Site id" in text
    assert "there is no such site" in text


async def test_unknown_columns_are_offered_a_meaning_each(worker: "Browser") -> None:
    asked = ["Що треба?", "Телефон <осн.>*", ""]
    worker.desk.region.answers[IMPORT] = problem(422, "unmapped-columns", columns=asked)
    answer = await _send(worker, mapping="a = kind")
    assert answer.status_code == 409
    shown = _columns(answer.text)
    assert shown == [("a", "kind"), *((each, "") for each in asked)]
    assert "Телефон &lt;осн.&gt;*" in answer.text
    assert "(no name)" in answer.text
    worker.desk.region.answers[IMPORT] = (200, REPORT)
    form = {f"column_{number}": name for number, (name, _) in enumerate(shown)}
    form |= {"field_0": "kind", "field_1": "note", "field_2": "", "field_3": ""}
    tried = await _filled_in(worker, form)
    sent = _mapping(worker)
    columns = sent["columns"]
    assert isinstance(columns, dict)
    assert (columns["a"], columns["Що треба?"]) == ("kind", "note")
    # What is left out is left out by its name, not by a pattern that it happens to be.
    assert sent["ignore"] == ["Телефон <осн.>[*]", ""]
    assert _columns(tried.text)[1] == ("Що треба?", "note")
    assert "Що треба? = note" in tried.text
    # Lines to keep are no form that came too late: nobody is told that their visit ended.
    assert 'name="kept"' not in tried.text
    # Taken in only as it was tried.
    form |= {"take_in": "1", "seen": _hidden(tried.text, "seen")}
    assert "This is another file" in (await _filled_in(worker, form | {"field_1": "kind"})).text
    await _filled_in(worker, form)
    assert [query["dry_run"] for query in worker.desk.region.queries] == [
        "true", "true", "true", "false",
    ]  # fmt: skip


async def test_names_that_may_be_data_are_shown_once_the_sender_says_what_they_are(
    worker: "Browser",
) -> None:
    worker.desk.region.answers[IMPORT] = problem(422, "unmapped-columns", columns=["***", "***"])
    answer = await _send(worker)
    assert answer.status_code == 409
    assert "Its first line may name no columns" in answer.text
    assert _columns(answer.text) == []
    assert re.search(r'<input type="checkbox" name="header" value="1">', answer.text)
    worker.desk.region.answers[IMPORT] = problem(422, "unmapped-columns", columns=["Хто", "Що"])
    told = await _send(worker, header="1")
    assert _mapping(worker)["header"] is True
    assert [name for name, _ in _columns(told.text)] == ["Хто", "Що"]


async def test_columns_may_be_called_as_the_desk_calls_them(worker: "Browser") -> None:
    await _send(worker, mapping="хто = Код  клієнта\nщо = Art der Hilfe\nде =")
    sent = _mapping(worker)
    columns = sent["columns"]
    assert isinstance(columns, dict)
    assert (columns["хто"], columns["що"]) == ("client_code", "kind")
    for name in ("Дата запиту", "Asked on", "Angefragt am"):
        assert columns[name] == "asked_on"
    assert sent["ignore"] == ["де"]


@pytest.mark.parametrize(("language", "delimiter"), [("uk", ";"), ("de", ";"), ("en", ",")])
async def test_an_example_opens_in_a_spreadsheet_of_the_language(
    worker: "Browser", language: str, delimiter: str
) -> None:
    answer = await worker.get("/import/example.csv", language)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.content.decode("utf-8-sig")
    assert answer.text.startswith("\ufeff")
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    assert column_of(header[0]) == "row_id"
    assert all(column_of(name) for name in header)
    assert [row[0] for row in rows] == [row["row_id"] for row in EXAMPLE]


async def test_every_column_and_code_can_be_looked_up(worker: "Browser") -> None:
    assert 'href="/import/columns"' in (await worker.get("/import")).text
    text = (await worker.get("/import/columns", "uk")).text
    for name in ("Дата запиту", "contact_hours", "answer_pregnant", "food_parcel", "UA80"):
        assert name in text
    worker.desk.region.down.add("intake")
    text = (await worker.get("/import/columns", "uk")).text
    assert "Дата запиту" in text


def test_columns_are_those_that_intake_takes() -> None:
    assert set(COLUMNS) == FIELDS | {SITE_CODE}
    schema = ImportRow.model_json_schema()
    assert set(NEEDED) == set(schema["required"])
    for name, how in COLUMNS.items():
        if name == SITE_CODE:
            continue
        asked = schema["properties"].get(name) or {"type": "boolean"}
        shape = asked["anyOf"][0] if "anyOf" in asked else asked
        words = shape.get("enum") or shape.get("items", {}).get("enum", ())
        assert how.words == tuple(words), name
        assert (how.form == "yes_no") == (shape.get("type") == "boolean"), name
        assert (how.form in {"whole", "minor", "year"}) == (shape.get("type") == "integer"), name
        assert (how.form == "day") == (shape.get("format") == "date"), name
        assert (how.form == "moment") == (shape.get("format") == "date-time"), name
        assert (how.form == "id") == (shape.get("format") == "uuid"), name
        assert (how.form == "area") == shape.get("pattern", "").startswith("^UA"), name
        assert (how.form in {"words", "codes", "languages"}) == (shape.get("type") == "array")


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns_forms_and_rules_have_words_and_no_two_columns_the_same(language: str) -> None:
    say = Speaker(language)
    for column, how in COLUMNS.items():
        assert say.has(f"column_form.{how.form}")
        assert column_of(name_of(say, column)) == column
        assert column_of(column) == column
    assert len({name_of(say, column) for column in COLUMNS}) == len(COLUMNS)
    assert name_of(say, "row") != "row"
    for rule in OF_ROWS | OF_REQUESTS | RULES:
        assert say.has(f"rule.{rule}"), rule


async def test_without_the_sites_nothing_is_sent(worker: "Browser") -> None:
    worker.desk.region.down.add("inventory")
    answer = await _send(worker)
    assert answer.status_code == 503
    assert "No answer from: Inventory" in answer.text
    assert worker.desk.region.posts == []


async def test_an_unreadable_file_is_told_where(worker: "Browser") -> None:
    worker.desk.region.answers[IMPORT] = problem(422, "unreadable-file", rule="not_utf8", line=None)
    assert "the text is not UTF-8" in (await _send(worker)).text


@pytest.mark.parametrize(
    ("name", "content", "fields", "text"),
    [
        ("march.exe", ROWS, {}, "A .csv, .xlsx or .ndjson file"),
        ("march.csv", b"", {}, "A .csv, .xlsx or .ndjson file"),
        ("march.csv", ROWS, {"source": "Kobo Київ"}, "Small Latin letters"),
        ("march.csv", ROWS, {"mapping": "kind"}, "Each line needs"),
    ],
)
async def test_mistakes_are_named_before_anything_is_sent(
    worker: "Browser", name: str, content: bytes, fields: dict[str, str], text: str
) -> None:
    answer = await _send(worker, content, name, **fields)
    assert answer.status_code == 422
    assert text in answer.text
    assert worker.desk.region.posts == []


async def test_a_file_that_is_too_large_is_refused(worker: "Browser") -> None:
    answer = await _send(worker, b"x" * (FILE_BYTES_MAX + 1024 * 1024))
    assert answer.status_code == 413
    assert worker.desk.region.posts == []


async def test_a_role_that_does_not_register_cannot_import(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    assert (await _send(browser)).status_code == 403
    assert browser.desk.region.posts == []


async def test_a_form_without_proof_sends_nothing(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.proof = "0" * 64
    answer = await _send(browser)
    assert answer.status_code == 403
    assert "The form is out of date" in answer.text
    assert browser.desk.region.posts == []


def test_lines_that_were_kept_say_what_columns_mean() -> None:
    assert pasted_columns("") == {}
    assert pasted_columns("a/b = kind\n\nmeta =\nx=y = Note") == {
        "a/b": "kind", "meta": "", "x=y": "note",
    }  # fmt: skip
    assert pasted_columns("= kind") is None
    assert pasted_columns("a = nothing of the kind") is None
