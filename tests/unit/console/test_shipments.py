"""Goods between regions at the desk."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import WAREHOUSE, number, problem
from support.made_up.shipments import SHIPMENTS
from support.made_up.supply import LOTS

if TYPE_CHECKING:
    from .conftest import Browser

ASK = number("ask open")
COMING = number("shipment coming")
LINE = number("line coming")


@pytest.fixture
async def keeper(browser: "Browser") -> "Browser":
    """A logistician who looks at the page."""
    await browser.sign_in(Role.LOGISTICIAN)
    await browser.get("/shipments")
    return browser


def sent(browser: "Browser") -> list[tuple[str, object]]:
    return [(path, body) for path, body, _ in browser.desk.region.posts]


async def test_only_who_keeps_stock_has_a_use_for_it(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert (await browser.get("/shipments")).status_code == 403
    assert (await browser.post(f"/shipments/{COMING}/count")).status_code == 403
    assert "/shipments" not in (await browser.get("/stock")).text


async def test_goods_that_are_free_elsewhere_are_asked_for(keeper: "Browser") -> None:
    stock = (await keeper.get("/stock")).text
    assert 'href="/shipments?region=lviv&amp;item=' in stock
    fields = {"what": "lviv soap_bar", "quantity": "30", "to_site_id": str(WAREHOUSE)}
    made = await keeper.post("/shipments/ask", reason="low_stock", **fields)
    assert made.headers["location"] == "/shipments?said=transfer_asked"
    body = {
        "from_region": "lviv",
        "item": "soap_bar",
        "quantity": 30,
        "to_site_id": str(WAREHOUSE),
        "reason": "low_stock",
    }
    assert sent(keeper) == [("/v1/transfers", body)]
    assert (await keeper.post("/shipments/ask", reason="boredom", **fields)).status_code == 422
    assert len(sent(keeper)) == 1


async def test_an_ask_is_accepted_refused_or_sent(keeper: "Browser") -> None:
    at = f"/shipments/asks/{ASK}"
    await keeper.post(f"{at}/accept", quantity="12")
    await keeper.post(f"{at}/refuse", reason="own_needs")
    keeper.desk.region.answers["POST /v1/shipments"] = (201, SHIPMENTS[0])
    made = await keeper.post(f"{at}/prepare", lot_id=str(number("lot a")), quantity="7")
    assert made.headers["location"].startswith(f"/shipments/{SHIPMENTS[0]['shipment_id']}?said=")
    lines = [{"lot_id": str(number("lot a")), "quantity": 7}]
    assert sent(keeper) == [
        (f"/v1/transfers/{ASK}:accept", {"quantity": 12}),
        (f"/v1/transfers/{ASK}:refuse", {"reason": "own_needs"}),
        ("/v1/shipments", {"transfer_id": str(ASK), "lines": lines}),
    ]


async def test_an_own_ask_is_withdrawn_while_anything_is_to_come_of_it(keeper: "Browser") -> None:
    page = (await keeper.get("/shipments")).text
    ours = number("ask ours")
    for name, may in (("ours", True), ("promised", True), ("not wanted", False), ("came", False)):
        assert (f"/shipments/asks/{number(f'ask {name}')}/withdraw" in page) is may, name
    done = await keeper.post(f"/shipments/asks/{ours}/withdraw")
    assert done.headers["location"] == "/shipments?said=transfer_withdrawn"
    assert sent(keeper) == [(f"/v1/transfers/{ours}:withdraw", {})]


async def test_nothing_is_answered_or_sent_for_asks_that_are_over(keeper: "Browser") -> None:
    page = (await keeper.get("/shipments")).text
    for name, steps in (
        ("open", {"accept", "refuse"}),
        ("yes", {"prepare"}),
        ("no", set()),
        ("gone", set()),
        ("packed", set()),
        ("sent", set()),
    ):
        offered = {
            step
            for step in ("accept", "refuse", "prepare", "withdraw")
            if f"/shipments/asks/{number(f'ask {name}')}/{step}" in page
        }
        assert offered == steps, name


async def test_each_list_goes_on_by_itself(keeper: "Browser") -> None:
    keeper.desk.region.more["/v1/transfers?out"] = "c7"
    page = (await keeper.get("/shipments?by_us=c3")).text
    assert 'href="?by_us=c3&amp;of_us=c7"' in page
    asked = [dict(query) for path, query in keeper.desk.region.gets if path == "/v1/transfers"]
    assert {"direction": "in", "after": "c3", "limit": "50"} in asked


async def test_what_others_could_send_is_asked_for_or_set_aside(keeper: "Browser") -> None:
    page = (await keeper.get("/shipments")).text
    assert "12 needs wait for Food parcel × 12" in page
    assert "lviv has 40 free" in page
    # Only sites where it is of use to them: none is in the second one's area.
    first, second = page.split('action="/shipments/proposals/take"')[1:]
    assert str(WAREHOUSE) in first.split("</select>")[0]
    assert str(WAREHOUSE) not in second.split("</select>")[0]
    fields = {"what": "lviv food_parcel", "quantity": "12", "to_site_id": str(WAREHOUSE)}
    done = await keeper.post("/shipments/proposals/take", **fields)
    assert done.headers["location"] == "/shipments?said=proposal_taken"
    await keeper.post("/shipments/proposals/aside", what="lviv food_parcel")
    which = {"from_region": "lviv", "item": "food_parcel"}
    assert sent(keeper) == [
        ("/v1/proposals:take", {**which, "quantity": 12, "to_site_id": str(WAREHOUSE)}),
        ("/v1/proposals:set-aside", which),
    ]
    del fields["to_site_id"]
    assert (await keeper.post("/shipments/proposals/take", **fields)).status_code == 422
    assert (await keeper.post("/shipments/proposals/eat", **fields)).status_code == 404
    keeper.desk.region.answers["POST /v1/proposals:set-aside"] = problem(409, "no-proposal")
    gone = await keeper.post("/shipments/proposals/aside", what="lviv food_parcel")
    assert gone.status_code == 409
    assert "not proposed any more" in gone.text


async def test_only_lots_of_what_was_asked_for_are_offered_for_it(keeper: "Browser") -> None:
    (parcels,) = LOTS
    soap = {**parcels, "lot_id": str(number("lot soap")), "item": "soap_bar"}
    keeper.desk.region.lists["/v1/lots"] = ("rows", [soap, parcels])
    for path in ("/shipments", f"/shipments/{number('shipment preparing')}"):
        page = (await keeper.get(path)).text
        (choice,) = (part.split("</select>")[0] for part in page.split('name="lot_id"')[1:])
        assert str(parcels["lot_id"]) in choice
        assert str(soap["lot_id"]) not in choice


async def test_lines_are_counted_and_empty_ones_are_left_for_later(keeper: "Browser") -> None:
    page = (await keeper.get(f"/shipments/{COMING}")).text
    assert "by manifest only" in page
    assert f'name="good_{number("line counted")}"' not in page
    nothing = await keeper.post(f"/shipments/{COMING}/count")
    assert nothing.status_code == 422
    half = await keeper.post(f"/shipments/{COMING}/count", **{f"damaged_{LINE}": "1"})
    assert half.status_code == 422
    assert sent(keeper) == []
    fields = {f"good_{LINE}": "11", f"damaged_{LINE}": "1", f"reason_{LINE}": "wet"}
    done = await keeper.post(f"/shipments/{COMING}/count", **fields)
    assert done.headers["location"] == f"/shipments/{COMING}?said=shipment_counted"
    line = {"line_id": str(LINE), "good": 11, "damaged": 1, "reason": "wet"}
    assert sent(keeper) == [(f"/v1/shipments/{COMING}:count", {"lines": [line]})]


async def test_a_refused_count_keeps_what_was_entered(keeper: "Browser") -> None:
    await keeper.get(f"/shipments/{COMING}")
    keeper.desk.region.answers[f"POST /v1/shipments/{COMING}:count"] = problem(
        422, "reason-missing"
    )
    answer = await keeper.post(f"/shipments/{COMING}/count", **{f"good_{LINE}": "3"})
    assert answer.status_code == 409
    assert "a reason is needed" in answer.text
    assert 'value="3"' in answer.text


async def test_a_manifest_is_printed_and_read(keeper: "Browser") -> None:
    gone = number("shipment gone")
    page = (await keeper.get(f"/shipments/{gone}/manifest")).text
    assert page.count("<img ") == 2
    image = await keeper.get(f"/shipments/{gone}/codes/2.svg")
    assert image.headers["content-type"].startswith("image/svg+xml")
    assert image.text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert (await keeper.get(f"/shipments/{gone}/codes/3.svg")).status_code == 404
    keeper.desk.region.answers["POST /v1/shipments:take-manifest"] = (200, SHIPMENTS[2])
    await keeper.get("/shipments")
    taken = await keeper.post("/shipments/take", note="AIDMESH1:a\r\nAIDMESH1:b\r\n")
    assert taken.headers["location"] == f"/shipments/{COMING}?said=shipment_taken"
    assert sent(keeper) == [
        ("/v1/shipments:take-manifest", {"texts": ["AIDMESH1:a", "AIDMESH1:b"]})
    ]


@pytest.mark.parametrize("step", ["dispatch", "cancel"])
async def test_a_shipment_is_sent_off_or_given_up(keeper: "Browser", step: str) -> None:
    preparing = number("shipment preparing")
    page = (await keeper.get(f"/shipments/{preparing}")).text
    assert f'action="/shipments/{preparing}/{step}"' in page
    done = await keeper.post(f"/shipments/{preparing}/{step}")
    assert done.headers["location"] == f"/shipments/{preparing}?said=shipment_{step}"
    assert sent(keeper) == [(f"/v1/shipments/{preparing}:{step}", {})]
