"""Months are closed at the desk: by leads, once all is entered; others are told by whom."""

from datetime import date
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.link import ROWS_MAX
from aidmesh_console.i18n import LANGUAGES, texts
from aidmesh_console.pages.results import OPEN_MAX, open_months
from support.made_up.basics import problem

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "00000000-0000-4000-8000-000000000001"
PERIOD = "from=2024-01-01&to=2024-04-30&by=area"


async def test_a_lead_is_shown_the_months_that_are_over_and_open(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get(f"/results?{PERIOD}")).text
    # January is closed; of March and April nothing was ever told.
    for month in ("2024-02", "2024-03", "2024-04"):
        assert page.count(f'action="/results/{month}/close?') == 1
    assert "/results/2024-01/close" not in page
    assert page.index("2024-04/close") < page.index("2024-02/close")
    assert "A lead closes" not in page


async def test_many_months_are_read_page_by_page(browser: "Browser") -> None:
    settled_at = "2024-06-01T10:00:00Z"
    years = [f"{2000 + each // 12}-{each % 12 + 1:02d}" for each in range(12 * 25)]
    assert len(years) > ROWS_MAX
    months = [{"month": each, "settled_at": settled_at} for each in years if each != "2024-02"]
    browser.desk.region.lists["/v1/months"] = ("months", months)
    await browser.sign_in(Role.LEAD)
    page = (await browser.get(f"/results?{PERIOD}")).text
    assert [each for each in range(1, 5) if f"/results/2024-0{each}/close" in page] == [2]


async def test_closing_makes_its_call_and_comes_back_to_the_period(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(f"/results/2024-02/close?{PERIOD}", key=KEY, sure="1")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/results?{PERIOD}&said=month_closed"
    ((called, body, headers),) = browser.desk.region.posts
    assert (called, body) == ("/v1/months/2024-02:settle", {})
    assert headers["idempotency-key"] == KEY
    assert "The month is closed." in (await browser.get(answer.headers["location"])).text
    assert all("said.month_closed" in texts(language) for language in LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_whoever_is_not_sure_closes_nothing(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(f"/results/2024-02/close?{PERIOD}", language, key=KEY)
    assert answer.status_code == 422
    assert str(texts(language)["results.close_unsure"]) in answer.text
    assert f'name="key" value="{KEY}"' in answer.text
    assert answer.text.count("<details open>") == 1
    assert browser.desk.region.posts == []


async def test_what_is_refused_is_said(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["POST /v1/months/2024-02:settle"] = problem(409, "month-not-over")
    answer = await browser.post(f"/results/2024-02/close?{PERIOD}", key=KEY, sure="1")
    assert answer.status_code == 409
    assert "This month is not over." in answer.text
    for nonsense in ("2024-13", "2024-02:x", "all"):
        gone = await browser.post(f"/results/{nonsense}/close", key=KEY, sure="1")
        assert gone.status_code == 404


async def test_without_the_list_the_results_are_still_there(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/months"] = problem(503, "unavailable")
    await browser.sign_in(Role.LEAD)
    page = await browser.get(f"/results?{PERIOD}")
    assert page.status_code == 200
    assert "14,385" in page.text
    assert "/close" not in page.text


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.LEAD])
async def test_others_are_told_who_closes_it(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    page = (await browser.get(f"/results?{PERIOD}")).text
    assert "/close" not in page
    assert ("A lead closes the months" in page) == ("Provisional" in page)
    assert not any(path == "/v1/months" for path, _ in browser.desk.region.gets)
    answer = await browser.post(f"/results/2024-02/close?{PERIOD}", key=KEY, sure="1")
    assert answer.status_code == 403
    assert browser.desk.region.posts == []


def test_a_month_is_open_when_it_is_over() -> None:
    today = date(2024, 3, 31)
    year = (date(2024, 1, 1), date(2024, 12, 31))
    assert open_months(*year, (), today) == ["2024-02", "2024-01"]
    assert open_months(*year, (), date(2024, 4, 1)) == ["2024-03", "2024-02", "2024-01"]
    assert open_months(*year, {"2024-02"}, today) == ["2024-01"]
    assert open_months(date(2024, 1, 31), date(2023, 12, 31), (), today) == ["2024-01", "2023-12"]
    assert open_months(date(2025, 1, 1), date(2025, 2, 1), (), today) == []


async def test_of_many_open_months_the_last_are_shown(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/results?from=2021-01-01&to=2022-12-31")).text
    assert page.count("/close?") == OPEN_MAX
    assert "/results/2022-12/close" in page
    assert "Earlier months that are open: 12." in page
