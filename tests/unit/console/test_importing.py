"""Importing a file: tried first, taken in only as it was tried, never kept."""

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.pages.importing import FILE_BYTES_MAX, columns_of
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
    return await browser.http.post(
        "/import",
        data={"proof": browser.proof, "source": "kobo-kyiv", **fields},
        files={"file": (name, content)},
        headers={"Accept-Language": "en"},
    )


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
    assert re.search(r">4</td><td[^>]*>row_id</td><td>missing</td>", text)
    far = {"line": 5, "column": "needed_by", "rule": "day_out_of_range", "ge": "2000-01-01"}
    worker.desk.region.answers[IMPORT] = (200, REPORT | {"problems": [far]})
    assert "only days from 2000 to 2099 are possible" in (await _send(worker)).text


async def test_unknown_columns_are_put_where_they_can_be_explained(worker: "Browser") -> None:
    worker.desk.region.answers[IMPORT] = problem(422, "unmapped-columns", columns=["q1", "q2"])
    answer = await _send(worker, mapping="a = kind")
    assert answer.status_code == 409
    assert "a = kind\nq1 =\nq2 =</textarea>" in answer.text


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


def test_lines_say_what_columns_mean() -> None:
    assert columns_of("") == {"columns": {}, "ignore": []}
    assert columns_of("a/b = kind\n\nmeta/* =\nx=y = note") == {
        "columns": {"a/b": "kind", "x=y": "note"},
        "ignore": ["meta/*"],
    }
    assert columns_of("= kind") is None
