"""Referrals at the desk: what is offered, where to, and what may be done about it."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import number
from support.made_up.needs import need, whole

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "00000000-0000-4000-8000-000000000001"


async def test_a_need_is_offered_to_where_a_bed_is_free(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"/referrals/of/{number('bed')}"
    site = number("lviv shelter")
    row = {"region": "lviv", "site_id": str(site), "area": "UA46", "resource": "bed",
           "code": "shelter", "first_on": "2024-05-06", "total": 9,
           "as_of": "2024-05-06T09:00:00Z"}  # fmt: skip
    full = {**row, "site_id": str(number("full")), "free_by_day": [0]}
    beds = [{**row, "free_by_day": [4, 4]}, full]
    browser.desk.region.answers["GET /v1/capacity"] = (200, {"rows": beds, "next": None})
    page = (await browser.get(path, "en")).text
    assert page.count('name="where"') == 1
    where = f"lviv/UA46/{site}"
    assert f'value="{where}"' in page
    answer = await browser.post(path, key=KEY, where=where)
    assert answer.headers["location"] == f"/needs/{number('bed')}?said=referral_offered"
    ((called, body, headers),) = browser.desk.region.posts
    assert called == f"/v1/needs/{number('bed')}:refer"
    assert body == {"to_region": "lviv", "place_area": "UA46", "site_id": str(site)}
    assert headers["idempotency-key"] == KEY
    assert (await browser.post(path, key=KEY, where="lviv")).status_code == 422


async def test_help_without_a_bed_is_referred_to_a_region_and_no_bed(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"/referrals/of/{number('parcel')}"
    row = {"region": "lviv", "area": "UA46", "resource": "bed", "code": "shelter", "total": 9,
           "first_on": "2024-05-06", "free_by_day": [4],
           "as_of": "2024-05-06T09:00:00Z"}  # fmt: skip
    beds = [{**row, "site_id": str(number(name))} for name in ("one", "two")]
    browser.desk.region.answers["GET /v1/capacity"] = (200, {"rows": beds, "next": None})
    page = (await browser.get(path)).text
    assert "4 / 9" not in page
    assert page.count('name="where"') == 1
    assert 'value="lviv/UA46/"' in page
    await browser.post(path, key=KEY, where="lviv/UA46/")
    ((_, body, _),) = browser.desk.region.posts
    assert body == {"to_region": "lviv", "place_area": "UA46"}


@pytest.mark.parametrize(
    ("step", "which"), [("take", "offer"), ("refuse", "offer"), ("withdraw", "referred")]
)
async def test_offers_in_and_out_are_decided(browser: "Browser", step: str, which: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/referrals")).text
    path = f"/referrals/{number(which)}/{step}"
    assert page.count(f'action="{path}"') == 1
    assert f"/referrals/{number('taken offer')}/" not in page
    answer = await browser.post(path, key=KEY)
    assert answer.headers["location"].startswith("/referrals?said=referral_")
    ((called, _, _),) = browser.desk.region.posts
    assert called == f"/v1/referrals/{number(which)}:{step}"


async def test_what_a_region_offered_that_is_gone_is_kept_from_its_page(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    offer = number("offer of the lost")
    row = whole(need("theirs", "hygiene_kit", "held", attention="source_gone")) | {
        "referred_from": {"region": "lviv", "referral_id": str(offer)}
    }
    path = f"/needs/{number('theirs')}"
    browser.desk.region.answers[f"GET /v1{path}"] = (200, row)
    page = (await browser.get(path)).text
    assert f'action="/referrals/{offer}/keep"' in page
    assert f'action="{path}/settle"' not in page
    assert f'action="{path}/cancel"' in page
    browser.desk.region.answers[f"POST /v1/referrals/{offer}:keep"] = (200, {})
    answer = await browser.post(f"/referrals/{offer}/keep", key=KEY)
    assert answer.headers["location"] == "/referrals?said=referral_kept"
    assert browser.desk.region.posts[-1][0] == f"/v1/referrals/{offer}:keep"
    browser.desk.region.answers[f"GET /v1{path}"] = (200, row | {"attention": "told_to_come"})
    page = (await browser.get(path)).text
    assert "/keep" not in page
    assert f'action="{path}/settle"' in page


async def test_those_whom_others_could_take_in_are_offered_by_tick(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/referrals")).text
    site = number("lviv shelter")
    first, second = (f"{number(name)}/lviv/UA46/{site}" for name in ("bed", "other bed"))
    assert f'value="{first}"' in page
    assert f'value="{second}"' in page
    assert (await browser.post("/referrals/offer", key=KEY)).status_code == 422
    assert (await browser.post("/referrals/offer", key=KEY, where="a/b")).status_code == 422
    assert (await browser.post("/referrals/offer", key=KEY, where="a/b/c/d")).status_code == 422
    for _ in range(2):
        answer = await browser.post("/referrals/offer", key=KEY, where=[first, second])
        assert answer.headers["location"] == "/referrals?said=referrals_offered"
    posts = browser.desk.region.posts
    body = {"to_region": "lviv", "place_area": "UA46", "site_id": str(site)}
    needs = [number("bed"), number("other bed")] * 2
    assert [(path, sent) for path, sent, _ in posts] == [
        (f"/v1/needs/{need}:refer", body) for need in needs
    ]
    keys = [headers["idempotency-key"] for _, _, headers in posts]
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]
    refused = (409, {"type": "urn:aidmesh:problem:no-consent-to-referral"})
    browser.desk.region.answers[f"POST /v1/needs/{number('bed')}:refer"] = refused
    assert (await browser.post("/referrals/offer", where=first)).status_code == 409
