"""Lists that go on: what is not on the first page can be had as well."""

import re
from html import unescape
from typing import TYPE_CHECKING

import httpx

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.link import Link
from aidmesh_console.clients.payments import Payments
from support.made_up.money import HOLDINGS, REQUESTS
from support.made_up.needs import NEEDS

if TYPE_CHECKING:
    from .conftest import Browser

QUEUE = {"resource": "stock", "code": "hygiene_kit", "site_id": None, "area": "UA80", "needs": 3,
         "oldest_asked_on": "2024-03-01"}  # fmt: skip


def more(text: str) -> list[str]:
    """Where the links to further pages lead."""
    return [unescape(found) for found in re.findall(r'href="(\?[^"]+)"', text)]


async def test_queues_and_needs_go_on_each_by_itself(browser: "Browser") -> None:
    answers = browser.desk.region.answers
    answers["GET /v1/waitlist"] = (200, {"waiting": [QUEUE], "next": "q+2"})
    answers["GET /v1/needs"] = (200, {"needs": NEEDS[:1], "next": "n2"})
    await browser.sign_in(Role.CASEWORKER)
    first = (await browser.get("/needs?state=waitlisted")).text
    assert more(first) == ["?state=waitlisted&queues=q%2B2", "?state=waitlisted&after=n2"]
    browser.desk.region.gets.clear()
    second = await browser.get("/needs?state=waitlisted&queues=q%2B2&after=n2")
    asked = dict(browser.desk.region.gets)
    assert asked["/v1/waitlist"]["after"] == "q+2"
    assert asked["/v1/needs"]["after"] == "n2"
    assert more(second.text) == [
        "?state=waitlisted&after=n2&queues=q%2B2",
        "?state=waitlisted&queues=q%2B2&after=n2",
    ]


async def test_allotments_asked_for_go_on(browser: "Browser") -> None:
    page = {"requests": REQUESTS, "next": "r2"}
    browser.desk.region.answers["GET /v1/allotment-requests"] = (200, page)
    await browser.sign_in(Role.APPROVER)
    assert more((await browser.get("/money/questions")).text) == ["?requests=r2"]
    browser.desk.region.gets.clear()
    await browser.get("/money/questions?requests=r2")
    assert dict(browser.desk.region.gets)["/v1/allotment-requests"]["after"] == "r2"


async def test_whoever_spends_chooses_among_all_allotments() -> None:
    following = {None: "a", "a": "b", "b": None}

    def answer(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        return httpx.Response(200, json={"allotments": HOLDINGS, "next": following[after]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        held = await Payments(Link(http, "payments", "http://payments.test", "")).held_by("kyiv")
    assert len(held) == 3 * len(HOLDINGS)
