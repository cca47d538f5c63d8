"""Lost regions at the desk: who declares, who decides, and what was said too late."""

from typing import TYPE_CHECKING, Any

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES, texts
from aidmesh_console.pages.standings import LOST_REASONS
from support.made_up.basics import at, number, problem
from support.made_up.supply import STOCK

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "00000000-0000-4000-8000-000000000001"
LATE = number("late")


async def test_what_can_be_decided_has_its_buttons(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    assert 'href="/regions"' in (await browser.get("/")).text
    page = (await browser.get("/regions", "en")).text
    for step in ("confirm-lost", "not-lost"):
        assert page.count(f'action="/regions/kharkiv/{step}"') == 1
    assert page.count('/readmit"') == 1
    assert 'action="/regions/odesa/readmit"' in page
    # Only what is there, and is not the own region, can be declared lost.
    assert '<option value="lviv">' in page
    assert '<option value="kyiv">' not in page
    assert f'action="/regions/conflicts/inventory/{LATE}"' in page
    assert "?inventory=c2" in page
    for shown in ("1,200.50", "77.10", "retired", "let in again", "inventory.stock.changed.v1"):
        assert shown in page, shown
    assert page.count("May count yet") == 1


@pytest.mark.parametrize(
    ("path", "fields", "called", "body", "said"),
    [
        (
            "/regions/declare",
            {"region": "lviv", "reason": "data_lost"},
            "/v1/regions/lviv:declare-lost",
            {"reason": "data_lost"},
            "region_declared",
        ),
        ("/regions/lviv/confirm-lost", {}, "/v1/regions/lviv:confirm-lost", {}, "region_lost"),
        ("/regions/lviv/not-lost", {}, "/v1/regions/lviv:not-lost", {}, "region_not_lost"),
        ("/regions/lviv/readmit", {}, "/v1/regions/lviv:readmit", {}, "region_readmitted"),
        (
            f"/regions/conflicts/intake/{LATE}",
            {"note": "counted again"},
            f"/v1/conflicts/{LATE}:close",
            {"note": "counted again"},
            "conflict_closed",
        ),
    ],
)
async def test_a_form_makes_its_call_under_its_key(
    browser: "Browser",
    path: str,
    fields: dict[str, str],
    called: str,
    body: dict[str, object],
    said: str,
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(path, key=KEY, **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/regions?said={said}")
    ((found, sent, headers),) = browser.desk.region.posts
    assert (found, sent, headers["idempotency-key"]) == (called, body, KEY)
    assert all(f"said.{said}" in texts(language) for language in LANGUAGES)


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/regions/declare", {"region": "lviv", "reason": "because"}, 422),
        ("/regions/declare", {"reason": "data_lost"}, 422),
        (f"/regions/conflicts/intake/{LATE}", {}, 422),
        (f"/regions/conflicts/intake/{LATE}", {"note": "x" * 501}, 422),
        (f"/regions/conflicts/notification/{LATE}", {"note": "x"}, 404),
        ("/regions/lviv/retire", {}, 404),
    ],
)
async def test_what_makes_no_sense_is_not_sent(
    browser: "Browser", path: str, fields: dict[str, str], status: int
) -> None:
    await browser.sign_in(Role.LEAD)
    assert (await browser.post(path, key=KEY, **fields)).status_code == status
    assert browser.desk.region.posts == []


@pytest.mark.parametrize("slug", ["second-person-needed", "conflicts-open", "region-gone"])
async def test_what_is_refused_is_said_in_words(browser: "Browser", slug: str) -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["POST /v1/regions/lviv:confirm-lost"] = problem(409, slug)
    answer = await browser.post("/regions/lviv/confirm-lost", key=KEY)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert slug not in answer.text


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.LEAD])
async def test_only_leads_decide(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    assert 'href="/regions"' not in (await browser.get("/")).text
    assert (await browser.get("/regions")).status_code == 403
    for path in ("declare", "lviv/confirm-lost", f"conflicts/intake/{LATE}"):
        assert (await browser.post(f"/regions/{path}", key=KEY)).status_code == 403
    assert browser.desk.region.posts == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_standing_has_words(language: str) -> None:
    wanted = {f"lost_reason.{each}" for each in LOST_REASONS}
    wanted |= {f"standing.{each}" for each in ("lost", "member", "retired")}
    assert wanted <= set(texts(language))


@pytest.mark.parametrize(("gone", "words"), [("lost", "lost since"), ("retired", "retired since")])
async def test_figures_of_a_region_that_is_gone_say_so(
    browser: "Browser", gone: str, words: str
) -> None:
    await browser.sign_in(Role.LEAD)
    stock: dict[str, Any] = dict(STOCK)
    link = {"state": "dark", "since": at(-60), "gone": gone, "gone_since": at(-600)}
    stock["others"] = [{**each, "link": link} for each in stock["others"]]
    browser.desk.region.answers["GET /v1/stock"] = (200, stock)
    assert words in (await browser.get("/stock", "en")).text
