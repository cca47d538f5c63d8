"""Money for those who wait, at the desk: who may send it, and what is sent."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES
from support.made_up.basics import number

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
GRANT, PURSE, RULE = number("qn"), number("purse"), number("rule money")
WAIT = {"region": "lviv", "programme": "cash", "currency": "UAH"}
SERVE = WAIT | {"grant_id": str(GRANT), "budget_line": "aid", "amount": "1 200,50"}
SENT = WAIT | {"grant_id": str(GRANT), "budget_line": "aid", "amount_minor": 120_050}
RULED = {"programme": "cash", "currency": "UAH", "regions": "odesa, lviv", "keep": "",
         "move_max": "500", "week_max": "2000"}  # fmt: skip

FORMS: list[tuple[str, dict[str, str], str, dict[str, object]]] = [
    ("serve", SERVE, "/v1/waits:serve", SENT | {"allotment_id": None}),
    ("serve", SERVE | {"allotment_id": str(PURSE)}, "/v1/waits:serve",
     SENT | {"allotment_id": str(PURSE)}),
    ("set-aside", WAIT, "/v1/waits:set-aside", dict(WAIT)),
    ("rules", RULED, "/v1/wait-rules",
     {"programme": "cash", "currency": "UAH", "regions": ["lviv", "odesa"], "keep_minor": 0,
      "move_max_minor": 50_000, "week_max_minor": 200_000, "chosen_only": False}),
    (f"rules/{RULE}/end", {}, f"/v1/wait-rules/{RULE}:end", {}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "fields", "called", "body"), FORMS)
async def test_a_form_makes_its_call_under_its_key(
    browser: "Browser", path: str, fields: dict[str, str], called: str, body: dict[str, object]
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(f"/money/waits/{path}", key=KEY, **fields)
    assert answer.status_code == 303, answer.text
    ((found, sent, headers),) = browser.desk.region.posts
    assert (found, sent) == (called, body)
    assert headers["idempotency-key"] == KEY
    page = await browser.get(answer.headers["location"])
    assert 'class="notice" role="status"' in page.text


@pytest.mark.parametrize(
    ("role", "steps"),
    [
        (Role.LEAD, {"serve", "set-aside", "rules", "end"}),
        (Role.FINANCE, {"serve", "set-aside"}),
        (Role.APPROVER, set()),
    ],
)
async def test_each_role_is_offered_its_steps(
    browser: "Browser", role: Role, steps: set[str]
) -> None:
    await browser.sign_in(role)
    page = (await browser.get("/money/waits")).text
    offered = re.findall(r'action="/money/waits/(?:rules/[0-9a-f-]+/)?([a-z-]+)"', page)
    assert set(offered) == steps


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_waits_is_shown_with_its_age_and_link(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get("/money/waits", language)).text
    assert "waits." not in page
    assert "lviv" in page
    assert "qn-2024" in page
    if language == "en":
        for said in ("link up", "on its way", "restricted: look whether it fits", "Financial aid",
                     "Nothing of our grants would fit."):  # fmt: skip
            assert said in page, said


async def test_what_is_wrong_is_said_and_nothing_sent(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path, fields in (
        ("serve", SERVE | {"amount": "much"}),
        ("serve", SERVE | {"currency": "hryvnia"}),
        ("set-aside", WAIT | {"programme": ""}),
        ("rules", RULED | {"regions": "Львів"}),
    ):
        answer = await browser.post(f"/money/waits/{path}", **fields)
        assert answer.status_code == 422, path
        assert 'role="alert"' in answer.text
    assert browser.desk.region.posts == []


async def test_a_refusal_is_said_in_words(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    refused = {"type": "urn:aidmesh:problem:not-proposed", "title": "-", "status": 409}
    browser.desk.region.answers["POST /v1/waits:serve"] = (409, refused)
    answer = await browser.post("/money/waits/serve", **SERVE)
    assert answer.status_code == 409
    assert "not proposed" in answer.text
