"""Figures of other regions are shown with their age and whether the region is heard."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.peers import Peer, Readiness, together
from support.made_up.basics import number
from support.made_up.money import (
    HOLDINGS,
    PAID_ALONE,
    REBALANCINGS,
    RETURN_ASKS,
    WAITS,
    paying_order,
)
from support.made_up.shipments import OWN_ASKS, SHIPMENTS, TRANSFERS
from support.made_up.supply import STOCK, SUPPLY, capacity

if TYPE_CHECKING:
    from .conftest import Browser

COMING = SHIPMENTS[-1]
SINCE = "2024-03-01T10:05:00+00:00"
DARK = {"state": "dark", "since": SINCE}
WORDS = {
    "en": "no link since 1 Mar 2024, 12:05",
    "de": "keine Verbindung seit 1. M",
    "uk": "без зв’язку від 1 бер",
}


def rows(listed: object) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", listed)


def told(listed: object) -> dict[str, object]:
    """A page of rows that a dark region has a part in."""
    return {"rows": [{**each, "as_of": SINCE, "link": DARK} for each in rows(listed)], "next": None}


PAID_THERE = PAID_ALONE | {"state": "approved", "assigned_to": "odesa", "link": DARK}
ORDER = paying_order("received") | {"link": DARK}
MOVED = {"state": "moved", "returned_minor": 100, "arrived": False}
THEIR_OFFER = {
    **cast("list[dict[str, object]]", WAITS[0]["offers"])[1],
    "holder": "odesa",
    "as_of": SINCE,
    "link": DARK,
}


def proposals(one: dict[str, object]) -> dict[str, object]:
    """One proposal to a dark holder, who was heard of it once."""
    row = {**REBALANCINGS[0], "as_of": SINCE, "link": DARK, "to_link": None, **one}
    return {"GET /v1/rebalancings": {"rebalancings": [row], "next": None}}


def peer(link: str, **more: object) -> dict[str, object]:
    return {"link": link, "since": SINCE, "lag_events": 0, "handoffs": 0, "trouble": None, **more}


def ready(**peers: dict[str, object]) -> tuple[int, dict[str, object]]:
    return 200, {"ready": True, "peers": peers}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize(
    ("path", "answer", "role"),
    [
        (
            "/stock?others=1",
            {
                "GET /v1/stock": {
                    **STOCK,
                    "others": [
                        {**each, "link": DARK}
                        for each in cast("list[dict[str, object]]", STOCK["others"])
                    ],
                }
            },
            Role.LOGISTICIAN,
        ),
        (
            "/beds",
            {
                "GET /v1/capacity": {
                    "rows": [
                        {**each, "link": None if each["region"] == "kyiv" else DARK}
                        for each in capacity()
                    ]
                }
            },
            Role.LOGISTICIAN,
        ),
        (
            "/register?kind=hygiene_kit",
            {
                "POST /v1/supply:lookup": {
                    "rows": [
                        {
                            **each,
                            "elsewhere": [{**at, "link": DARK} for at in rows(each["elsewhere"])],
                        }
                        for each in SUPPLY
                    ]
                }
            },
            Role.CASEWORKER,
        ),
        (
            f"/shipments/{COMING['shipment_id']}",
            {
                f"GET /v1/shipments/{COMING['shipment_id']}": {
                    **COMING,
                    "as_of": SINCE,
                    "link": DARK,
                }
            },
            Role.LOGISTICIAN,
        ),
        (
            "/shipments",
            {"GET /v1/shipments": told(SHIPMENTS)},
            Role.LOGISTICIAN,
        ),
        ("/shipments", {"GET /v1/transfers": told(TRANSFERS)}, Role.LOGISTICIAN),
        ("/shipments", {"GET /v1/transfers": told(OWN_ASKS)}, Role.LOGISTICIAN),
        (
            f"/referrals/of/{number('bed')}",
            {"GET /v1/capacity": {"rows": [{**each, "link": DARK} for each in capacity()]}},
            Role.CASEWORKER,
        ),
        (
            "/money/waits",
            {"GET /v1/waits": {"waits": [{**WAITS[0], "offers": [THEIR_OFFER]}]}},
            Role.FINANCE,
        ),
        ("/money", {"GET /v1/payouts": {"payouts": [PAID_THERE], "next": None}}, Role.FINANCE),
        ("/money", {"GET /v1/paying-orders": {"orders": [ORDER], "next": None}}, Role.FINANCE),
        ("/money/regions", proposals({"prepared_minor": 9_000_000}), Role.APPROVER),
        ("/money/regions", proposals(MOVED | {"link": None, "to_link": DARK}), Role.APPROVER),
        (
            "/money/regions",
            {"GET /v1/return-asks": {"asks": told(RETURN_ASKS)["rows"], "next": None}},
            Role.APPROVER,
        ),
    ],
    ids=[
        "stock",
        "beds",
        "register",
        "shipment",
        "shipments",
        "asked of us",
        "asked by us",
        "refer",
        "offers",
        "payouts",
        "orders",
        "proposals",
        "moved",
        "return asks",
    ],
)
async def test_a_figure_of_a_dark_region_says_so(
    browser: "Browser", path: str, answer: dict[str, object], role: Role, language: str
) -> None:
    browser.desk.region.answers |= {called: (200, body) for called, body in answer.items()}
    await browser.sign_in(role)
    assert WORDS[language] in (await browser.get(path, language)).text


@pytest.mark.parametrize("language", WORDS)
async def test_whose_money_may_be_proposed_says_how_fresh_its_figure_is(
    browser: "Browser", language: str
) -> None:
    held = [{**each, "link": DARK if each["holder"] == "lviv" else None} for each in HOLDINGS]
    browser.desk.region.answers["GET /v1/allotments"] = (200, {"allotments": held, "next": None})
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money/regions", language)).text
    options = re.findall(r"<option value=[^>]+>([^<]+ · [^<]+)</option>", page)
    assert {each.partition(" ")[0]: WORDS[language] in each for each in options} == {
        "kyiv": False,
        "lviv": True,
    }


@pytest.mark.parametrize("role", [Role.LEAD, Role.ONCALL])
async def test_home_shows_lead_and_on_call_what_is_wrong_with_a_peer(
    browser: "Browser", role: Role
) -> None:
    browser.desk.region.answers["GET /readyz"] = ready(
        lviv=peer("up"), odesa=peer("dark", trouble="dark", handoffs=2, lag_events=3)
    )
    await browser.sign_in(role)
    page = (await browser.get("/")).text
    assert WORDS["en"] in page
    assert "link up" in page
    assert "Not heard for too long" in page
    assert "3 events of it are not here yet." in page
    assert "10 handoffs wait for its answer." in page  # of five services


@pytest.mark.parametrize("trouble", ["dark", "behind", "unanswered"])
@pytest.mark.parametrize("language", WORDS)
async def test_every_trouble_has_its_words(browser: "Browser", trouble: str, language: str) -> None:
    browser.desk.region.answers["GET /readyz"] = ready(lviv=peer("up", trouble=trouble))
    await browser.sign_in(Role.LEAD)
    assert "notice warn" in (await browser.get("/", language)).text


async def test_others_are_not_bothered_with_links(browser: "Browser") -> None:
    browser.desk.region.answers["GET /readyz"] = ready(lviv=peer("dark", trouble="dark"))
    await browser.sign_in(Role.CASEWORKER)
    assert "Other regions" not in (await browser.get("/")).text


def test_whoever_heard_a_peer_is_believed_and_any_trouble_is_shown() -> None:
    early, late = (datetime(2024, 3, day, tzinfo=UTC) for day in (1, 2))
    said = [
        Readiness(ready=True, peers={"lviv": Peer(link="dark", since=early, handoffs=1)}),
        Readiness(ready=True, peers={"lviv": Peer(link="up", since=late, trouble="unanswered")}),
        Readiness(ready=True, peers={"lviv": Peer(link="up", since=early, handoffs=2)}),
        Readiness(ready=True),
    ]
    for order in (said, said[::-1]):
        assert together(order) == {
            "lviv": Peer(link="up", since=early, handoffs=3, trouble="unanswered")
        }
