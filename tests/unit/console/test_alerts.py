"""Alerts at the desk: for leads and on-call, begun and ended once."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import number, problem

if TYPE_CHECKING:
    from .conftest import Browser

ALERT = number("alert")
NEW = {"area": "UA80", "reason": "power_cut"}


@pytest.mark.parametrize("role", [Role.LEAD, Role.ONCALL])
async def test_home_leads_to_the_alerts_that_last(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    home = (await browser.get("/", "en")).text
    assert 'href="/alerts"' in home
    assert "air alert" in home
    page = (await browser.get("/alerts", "en")).text
    assert f'action="/alerts/{ALERT}/end"' in page
    assert "Lviv" in page


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.LEAD, Role.ONCALL}))
async def test_others_have_no_use_for_it(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    assert 'href="/alerts"' not in (await browser.get("/")).text
    assert (await browser.get("/alerts")).status_code == 403
    assert (await browser.post("/alerts/begin", **NEW)).status_code == 403
    assert (await browser.post(f"/alerts/{ALERT}/end")).status_code == 403
    assert browser.desk.region.posts == []


async def test_an_alert_is_begun_and_ended(browser: "Browser") -> None:
    await browser.sign_in(Role.ONCALL)
    begun = await browser.post("/alerts/begin", **NEW)
    assert (begun.status_code, begun.headers["location"]) == (303, "/alerts?said=alert_begun")
    ended = await browser.post(f"/alerts/{ALERT}/end")
    assert (ended.status_code, ended.headers["location"]) == (303, "/alerts?said=alert_ended")
    sent = [(path, body) for path, body, _ in browser.desk.region.posts]
    assert sent == [("/v1/alerts", NEW), (f"/v1/alerts/{ALERT}:end", {})]


@pytest.mark.parametrize("wrong", [{"area": "UA99"}, {"reason": "boredom"}, {"area": ""}])
async def test_what_makes_no_sense_is_not_sent(browser: "Browser", wrong: dict[str, str]) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post("/alerts/begin", **(NEW | wrong))
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    kept = ({**NEW, **wrong}.items()) & NEW.items()
    assert all(f'value="{value}" selected' in answer.text for _, value in kept)
    assert browser.desk.region.posts == []


async def test_a_refusal_is_said_and_a_second_try_counts_once(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["POST /v1/alerts"] = problem(422, "unknown-area")
    assert (await browser.post("/alerts/begin", **NEW)).status_code == 409
    browser.desk.region.answers["POST /v1/alerts"] = (503, {})
    key = str(number("key"))
    answer = await browser.post("/alerts/begin", **NEW, key=key)
    assert answer.status_code == 503
    assert f'name="key" value="{key}"' in answer.text
