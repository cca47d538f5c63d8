"""Slots at the desk: which there are, and canceling one."""

import html
import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.desk import main_of
from support.made_up.basics import SMALL, number, problem
from support.made_up.supply import SLOTS

if TYPE_CHECKING:
    from .conftest import Browser

PAGE = "/stock/slots"
GROUP = number("slot group")
CALLED = f"/v1/slots/{GROUP}:cancel"
KEY = str(number("key"))


def part_of(page: str, slot_id: object) -> str:
    """What the page says of a slot that can be canceled."""
    return next(part for part in page.split("<li>") if str(slot_id) in part)


@pytest.mark.parametrize("role", [Role.CASEWORKER, Role.LOGISTICIAN, Role.LEAD])
async def test_who_sees_slots_and_who_cancels_them(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    page = (await browser.get(PAGE)).text
    assert "3 of 8 taken" in page
    assert f'href="{PAGE}"' in (await browser.get("/stock")).text
    found = set(re.findall(r'action="/stock/slots/([0-9a-f-]+)/cancel"', page))
    still_open = {str(each["slot_id"]) for each in SLOTS if each["status"] == "open"}
    assert found == (set() if role is Role.CASEWORKER else still_open)
    assert ("in steps of five" in page) == (role is Role.LOGISTICIAN)
    if role is Role.CASEWORKER:
        assert (await browser.post(f"{PAGE}/{GROUP}/cancel", key=KEY)).status_code == 403
        assert browser.desk.region.posts == []


async def test_money_has_no_use_for_slots(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert (await browser.get(PAGE)).status_code == 403


async def test_what_follows_is_said_before_it_is_done(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    page = html.unescape((await browser.get(PAGE)).text)
    assert "3 seats are taken. Whoever has one gets another slot, or waits" in part_of(page, GROUP)
    assert "1 seat is taken" in part_of(page, number("slot full"))
    assert "Nobody has a seat" in part_of(page, number("slot free"))


async def test_a_slot_is_canceled_where_it_was_shown(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    browser.desk.region.gets.clear()
    page = (await browser.get(f"{PAGE}?site={SMALL}&after=xyz")).text
    (asked,) = [query for path, query in browser.desk.region.gets if path == "/v1/slots"]
    assert dict(asked) == {"site_id": str(SMALL), "after": "xyz"}
    action = html.unescape(re.findall(rf'action="([^"]*{GROUP}/cancel[^"]*)"', page)[0])
    answer = await browser.post(action, key=KEY)
    assert answer.headers["location"] == f"{PAGE}?said=slot_cancelled&site={SMALL}"
    ((called, body, headers),) = browser.desk.region.posts
    assert (called, body, headers["idempotency-key"]) == (CALLED, {}, KEY)
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text


@pytest.mark.parametrize(("status", "answered"), [(409, 409), (503, 503)])
async def test_a_refusal_is_shown_beside_the_slot(
    browser: "Browser", status: int, answered: int
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    browser.desk.region.answers[f"POST {CALLED}"] = problem(status, "not-open")
    answer = await browser.post(f"{PAGE}/{GROUP}/cancel?site={SMALL}", key=KEY)
    assert answer.status_code == answered
    assert f'<option value="{SMALL}" selected>' in answer.text
    assert answer.text.count("<details open>") == 1
    mine = part_of(main_of(answer.text), GROUP)
    assert "<details open>" in mine
    # Without an answer it may have been done all the same: the next try keeps the key.
    assert main_of(answer.text).count(KEY) == mine.count(KEY) == (1 if status == 503 else 0)


async def test_slots_go_on_by_a_button(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/slots"] = (200, {"rows": SLOTS, "next": "abc"})
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"{PAGE}?site={SMALL}")).text
    assert f'href="?site={SMALL}&amp;after=abc"' in page
