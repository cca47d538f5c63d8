"""Signing in and out, and what keeps others away."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.auth import Role
from aidmesh_chassis.staff import StaffFile
from aidmesh_console.app import STAFF_FILE
from aidmesh_console.pages.entrance import local_path
from support.desk import FakeDesk

if TYPE_CHECKING:
    from .conftest import Browser

PASSWORD = "correct horse battery"


def _add_anna(desk: FakeDesk) -> None:
    staff = StaffFile(desk.keys_dir / STAFF_FILE, passes=1, memory_bytes=8192)
    staff.add("anna", PASSWORD, [Role.CASEWORKER])


async def test_nobody_sees_a_page_before_signing_in(browser: "Browser") -> None:
    for path in ("/", "/register", "/needs", "/hand-over", "/stock", "/beds", "/money", "/results"):
        answer = await browser.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in")
    assert browser.desk.region.gets == []


async def test_sign_in_by_name_and_password(browser: "Browser", desk: FakeDesk) -> None:
    _add_anna(desk)
    page = await browser.get("/sign-in?next=/stock")
    assert 'value="/stock"' in page.text
    answer = await browser.post("/sign-in", login="Anna ", password=PASSWORD, next="/stock")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/stock"
    cookie = answer.headers.get_list("set-cookie")[0]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await browser.get("/stock")).status_code == 200


async def test_a_wrong_password_and_an_unknown_name_answer_the_same(
    browser: "Browser", desk: FakeDesk
) -> None:
    _add_anna(desk)
    await browser.get("/sign-in")
    first = await browser.post("/sign-in", login="anna", password="not the password")
    second = await browser.post("/sign-in", login="bela", password="not the password")
    assert first.status_code == second.status_code == 403
    assert "Name or password do not fit" in first.text
    assert "not the password" not in first.text
    assert first.text.replace('value="anna"', 'value="bela"') == second.text


async def test_the_name_is_still_there_after_a_wrong_password(browser: "Browser") -> None:
    await browser.get("/sign-in")
    page = await browser.post("/sign-in", login='anna"<b>', password="not the password")
    assert 'name="login" value="anna&#34;&lt;b&gt;"' in page.text
    assert "not the password" not in page.text
    assert 'name="login" value=""' in (await browser.get("/sign-in")).text


async def test_attempts_are_bounded(browser: "Browser", desk: FakeDesk) -> None:
    _add_anna(desk)
    await browser.get("/sign-in")
    codes = [
        (await browser.post("/sign-in", login="anna", password="wrong wrong wrong")).status_code
        for _ in range(6)
    ]
    assert codes == [403] * 5 + [429]


async def test_sign_in_needs_the_form_that_was_given_out(browser: "Browser") -> None:
    token = browser.desk.token([Role.LEAD])
    assert (await browser.post("/sign-in", token=token)).status_code == 403
    await browser.get("/sign-in")
    other = await browser.post("/sign-in", token=token, proof="0" * 64)
    assert other.status_code == 403


async def test_a_token_does_only_where_that_is_allowed(
    browser_of: Callable[..., "Browser"],
) -> None:
    browser = browser_of(paste_token=False)
    page = await browser.get("/sign-in")
    assert 'name="token"' not in page.text
    answer = await browser.post("/sign-in", token=browser.desk.token([Role.LEAD]))
    assert answer.status_code == 403


async def test_a_token_of_another_region_is_refused(
    browser: "Browser", browser_of: Callable[..., "Browser"]
) -> None:
    stranger = browser_of().desk.token([Role.LEAD])
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", token=stranger)
    assert answer.status_code == 403
    assert "not valid here" in answer.text


async def test_forms_without_the_visits_proof_change_nothing(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for proof in ("", "0" * 64):
        answer = await browser.post("/register", proof=proof, need_food_parcel="1")
        assert answer.status_code == 403
        assert "out of date" in answer.text
    answer = await browser.http.post(
        "/register", data={"proof": browser.proof}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert browser.desk.region.posts == []


async def test_signing_out_ends_the_visit_for_good(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    kept = dict(browser.http.cookies)
    answer = await browser.post("/sign-out")
    assert answer.headers["location"].startswith("/sign-in")
    browser.http.cookies.update(kept)
    assert (await browser.get("/needs")).status_code == 303


async def test_leave_goes_to_a_neutral_page_and_forgets(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.get("/leave")
    assert answer.headers["location"] == "https://www.wikipedia.org/"
    assert "storage" in answer.headers["clear-site-data"]
    assert (await browser.get("/")).status_code == 303


async def test_the_language_is_remembered(browser: "Browser") -> None:
    await browser.get("/sign-in")
    form = {"desk_language": "de", "back": "/sign-in"}
    answer = await browser.http.post("/language", data=form)
    assert answer.headers["location"] == "/sign-in"
    assert "Anmelden" in (await browser.get("/sign-in")).text


async def test_who_is_signed_in_is_not_asked_to_sign_in_for_a_language(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    form = {"desk_language": "de", "back": "/import", "kept": "a = kind"}
    answer = await browser.http.post("/language", data=form)
    assert answer.headers["location"] == "/import"


@given(st.text(max_size=60))
def test_nobody_is_sent_to_another_site(path: str) -> None:
    for each in (path, f"/{path}", f"//{path}", f"/\\{path}"):
        parts = urlsplit(local_path(each))
        assert (parts.scheme, parts.netloc) == ("", "")
        assert local_path(each).startswith("/")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("path", [f"/{'a' * 190}!", f"/{'a/' * 90}!", f"/people/{'0b8f-' * 30} "])
def test_long_paths_that_do_not_fit_are_refused_at_once(path: str) -> None:
    """Matched in every way there is, they would hold up all services of a process for days."""
    assert local_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/needs", "/people/a-b/request/", "/a.b_c"])
def test_paths_of_the_desk_are_gone_to(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize("path", ["https://evil.test", "//evil.test", "/\\evil.test", "/a?b", ""])
def test_only_plain_paths_are_gone_to(path: str) -> None:
    assert local_path(path) == "/"


async def test_headers_keep_pages_to_themselves(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path in ("/", "/needs", "/nowhere"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"


async def test_files_of_the_pages_are_fetched_once(browser: "Browser") -> None:
    page = await browser.get("/sign-in")
    path = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert len(answer.content) < 15_000
    assert "url(" not in answer.text
    assert (await browser.get("/static/0/../../config.py")).status_code in {303, 404}
    assert (await browser.get("/static/0/desk.css")).status_code == 404
