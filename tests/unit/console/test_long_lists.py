"""Lists longer than a page of a service: the desk has all of them, or says that it has not."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.link import PAGES_MAX, ROWS_MAX
from support.made_up.basics import SHELTER, SMALL, WAREHOUSE, at, iso, number
from support.made_up.links import LOOKUPS, TWINS
from support.made_up.money import WAIT_RULES, WAITS
from support.made_up.needs import MERGES, NEEDS
from support.made_up.referrals import PLACES, REFER_RULES, REFERRALS, REFERRED
from support.made_up.shipments import transfer
from support.made_up.standings import STANDINGS
from support.made_up.supply import ITEMS, LOTS, SITES, checked_out, reservation

if TYPE_CHECKING:
    from .conftest import Browser

MANY = ROWS_MAX + 50
CUT = "There is more than a page can show"


def items(count: int) -> list[dict[str, object]]:
    """So many kinds of goods."""
    return [{**ITEMS[0], "code": f"item_{each}", "names": {"en": f"Item {each}"}}
            for each in range(count)]  # fmt: skip


def sites(count: int) -> list[dict[str, object]]:
    """So many sites beside those that are there."""
    found: list[dict[str, object]] = [{**site} for site in SITES]
    found += [{**SITES[2], "site_id": str(number(f"site {each}")), "name": f"Site {each}"}
              for each in range(count)]  # fmt: skip
    return found


def lots(count: int, **fields: object) -> list[dict[str, object]]:
    """So many lots of one item at one site."""
    return [LOTS[0] | {"lot_id": str(number(f"lot {each}")), "batch": f"B-{each}"} | fields
            for each in range(count)]  # fmt: skip


def asked_of(browser: "Browser", path: str) -> list[dict[str, str]]:
    """What a service was asked on a path since the page before."""
    return [dict(query) for name, query in browser.desk.region.gets if name == path]


async def test_the_last_of_many_goods_is_handed_over_as_it_must_be(browser: "Browser") -> None:
    region = browser.desk.region
    last = [ITEMS[0] | {"code": "insulin", "prescription": True},
            ITEMS[0] | {"code": "tablet", "tracking": "serial"}]  # fmt: skip
    region.lists["/v1/items"] = ("rows", [*items(MANY), *last])
    region.answers["GET /v1/reservations"] = (200, {"next": None, "rows": [
        reservation(code, "handover", allocations=[
            {"lot_id": str(number(code)), "item": code, "quantity": 1}])
        for code in ("insulin", "tablet")]})  # fmt: skip
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get(f"/hand-over?site={WAREHOUSE}")).text
    assert page.count('name="prescription_seen"') == 1
    assert page.count('name="serials"') == 1
    assert 'id="many"' not in page  # neither goes with many others
    assert CUT not in page
    region.lists["/v1/items"] = ("rows", items(3))
    unknown = (await browser.get(f"/hand-over?site={WAREHOUSE}")).text
    assert unknown.count('name="prescription_seen"') == 2  # as long as nobody can say


async def test_the_last_of_many_goods_and_sites_can_be_chosen(browser: "Browser") -> None:
    region = browser.desk.region
    region.lists["/v1/items"] = ("rows", items(MANY))
    region.lists["/v1/sites"] = ("rows", sites(MANY))
    await browser.sign_in(Role.LEAD)
    for path in ("/stock", "/money/purchases"):
        assert f'<option value="item_{MANY - 1}"' in (await browser.get(path)).text, path
    site = number(f"site {MANY - 1}")
    assert f'<option value="{site}"' in (await browser.get("/stock")).text
    assert f"Site {MANY - 1}" in (await browser.get("/stock/sites")).text


async def test_a_list_that_is_too_long_is_said_to_be(browser: "Browser") -> None:
    region = browser.desk.region
    await browser.sign_in(Role.LOGISTICIAN)
    region.lists["/v1/items"] = ("rows", items(PAGES_MAX * ROWS_MAX))
    whole = (await browser.get("/stock/sites")).text
    region.lists["/v1/items"] = ("rows", items(PAGES_MAX * ROWS_MAX + 1))
    region.gets.clear()
    cut = (await browser.get("/stock/sites")).text
    assert len(asked_of(browser, "/v1/items")) == PAGES_MAX
    assert (CUT in whole, CUT in cut) == (False, True)
    assert "5,000 rows are here: goods" in cut


async def test_home_counts_open_needs_only(browser: "Browser") -> None:
    region = browser.desk.region
    await browser.sign_in(Role.CASEWORKER)
    region.gets.clear()
    page = (await browser.get("/")).text
    assert re.findall(r'class="tile"[^>]*><b>(\d+)</b>', page)[:3] == ["4", "12", "31"]
    (query,) = (query for path, query in region.gets if path == "/v1/needs-by-state")
    assert "fulfilled" not in query.get_list("state")


async def test_home_knows_what_is_free_of_every_item(browser: "Browser") -> None:
    region = browser.desk.region
    totals = [{"item": f"item_{each}", "free": 500} for each in range(MANY)]
    region.lists["/v1/stock/totals"] = ("rows", totals)
    region.lists["/v1/items"] = (
        "rows",
        [{"code": f"item_{each}", "names": {"en": f"Item {each}"}} for each in range(MANY)],
    )
    queues = [
        {"resource": "stock", "code": f"item_{each}", "site_id": None, "area": "UA80",
         "needs": 40, "oldest_asked_on": iso(-4)}
        for each in range(MANY)
    ]  # fmt: skip
    region.lists["/v1/waitlist"] = ("waiting", queues)
    await browser.sign_in(Role.LOGISTICIAN)
    assert 'href="/stock?item=' not in (await browser.get("/")).text
    queues.append(queues[-1] | {"area": "UA46", "needs": 470})
    page = (await browser.get("/")).text
    assert re.findall(r'href="/stock\?item=(\w+)"', page) == [f"item_{MANY - 1}"]
    assert "510 wait" in page


async def test_home_shows_every_shelter_of_the_region_and_asks_no_further(
    browser: "Browser",
) -> None:
    region = browser.desk.region
    place = {"region": "kyiv", "site_id": str(SHELTER), "area": "UA80", "resource": "bed",
             "code": "shelter", "first_on": iso(), "free_by_day": [1], "total": 2,
             "as_of": at(-7)}  # fmt: skip
    own = [place | {"site_id": str(number(f"site {each}"))} for each in range(MANY)]
    away = [place | {"region": "lviv"}] * (3 * ROWS_MAX)
    region.lists["/v1/capacity"] = ("rows", [*own, *away])
    await browser.sign_in(Role.LOGISTICIAN)
    region.gets.clear()
    page = (await browser.get("/")).text
    assert page.count('href="/beds?site=') == MANY
    assert len(asked_of(browser, "/v1/capacity")) == 2


async def test_whoever_must_be_told_by_voice_is_found_behind_those_who_were_written_to(
    browser: "Browser",
) -> None:
    ready = [NEEDS[0] | {"need_id": str(number(f"n {each}")), "state": "ready", "message": "sent"}
             for each in range(MANY)]  # fmt: skip
    by_voice = ready[0] | {"need_id": str(number("voice")), "message": "no_contact"}
    browser.desk.region.lists["/v1/needs"] = ("needs", [*ready, by_voice])
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/")).text
    assert re.findall(r'action="/told/([0-9a-f-]+)"', page) == [by_voice["need_id"]]


@pytest.mark.parametrize("role", [Role.CASEWORKER, Role.LEAD])
async def test_what_is_to_be_looked_at_is_told_at_home_and_shown_whatever_became_of_it(
    browser: "Browser", role: Role
) -> None:
    region = browser.desk.region
    await browser.sign_in(role)
    odd = NEEDS[4] | {"attention": "served_by_two_attempts"}  # served, as most of them are
    for found, following, told in (
        ([], None, []),
        ([odd], None, ["1"]),
        ([odd] * 50, "c2", ["50+"]),
    ):
        region.answers["GET /v1/needs"] = (200, {"needs": found, "next": following})
        home = (await browser.get("/")).text
        assert re.findall(r'href="/needs\?attention=1"><b>([^<]+)</b>', home) == told
    region.gets.clear()
    page = (await browser.get("/needs?attention=1")).text
    (query,) = asked_of(browser, "/v1/needs")
    assert query == {"attention": "true", "limit": "50"}
    assert f'href="/needs/{number("talk")}"' in page
    # It stays chosen when something else is chosen too, and on the pages that follow.
    form = page.partition('<form class="card filters"')[2].partition("</form>")[0]
    assert 'name="attention" value="1" checked' in form
    assert '<option value="all" selected>' in form
    assert 'href="?attention=1&amp;state=all&amp;after=c2"' in page
    assert 'name="attention" value="1" checked' not in (await browser.get("/needs")).text


async def test_of_what_is_to_be_looked_at_one_state_can_be_chosen(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.gets.clear()
    await browser.get("/needs?state=ready&attention=1")
    (query,) = asked_of(browser, "/v1/needs")
    assert (query["state"], query["attention"]) == ("ready", "true")


async def test_whoever_else_must_be_told_is_listed_behind_home(browser: "Browser") -> None:
    region = browser.desk.region
    ready = [NEEDS[2] | {"need_id": str(number(f"n {each}"))} for each in range(60)]
    region.lists["/v1/needs"] = ("needs", ready)
    await browser.sign_in(Role.CASEWORKER)
    home = (await browser.get("/")).text
    shown = len(re.findall('action="/told/', home))
    assert shown < len(ready)
    (following,) = re.findall(r'href="(/needs\?[^"]+)">Show more', home)
    found: list[str] = []
    while following:
        region.gets.clear()
        page = (await browser.get(following.replace("&amp;", "&"))).text
        (query,) = asked_of(browser, "/v1/needs")
        assert query["to_tell"] == "true"
        assert 'name="to_tell" value="1" checked' in page
        found += re.findall(r'href="/needs/([0-9a-f-]{36})"', page)
        more = re.findall(r'href="(\?[^"]*after=[^"]*)"', page)
        following = "/needs" + more[0] if more else ""
    assert found == [each["need_id"] for each in ready]
    assert 'name="to_tell" value="1" checked' not in (await browser.get("/needs")).text


async def test_of_what_is_ready_those_who_do_not_know_are_marked(browser: "Browser") -> None:
    became = [("no_contact", None), ("failed", at(-5)), (None, None), ("sent", at(-5))]
    rows = [NEEDS[2] | {"message": message, "told_at": told} for message, told in became]
    browser.desk.region.answers["GET /v1/needs"] = (200, {"needs": rows, "next": None})
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/needs?state=ready")).text
    marked = ["not told" in row for row in page.split('<li><a class="go')[1:]]
    assert marked == [True, False, False, False]


async def test_lots_of_a_site_go_on(browser: "Browser") -> None:
    region = browser.desk.region
    region.lists["/v1/lots"] = ("rows", [*lots(MANY), *lots(5, site_id=str(SMALL))])
    await browser.sign_in(Role.LOGISTICIAN)
    first = (await browser.get(f"/stock?site={WAREHOUSE}&item=food_parcel")).text
    assert f'href="/stock/lots/{number("lot 0")}"' in first
    assert f'href="/stock/lots/{number(f"lot {MANY - 1}")}"' not in first
    assert "There are more lots" in first
    (following,) = re.findall(r'href="(\?[^"]*lots=[^"]*)"', first)
    rest = (await browser.get("/stock" + following.replace("&amp;", "&"))).text
    assert f'href="/stock/lots/{number(f"lot {MANY - 1}")}"' in rest
    assert "There are more lots" not in rest


@pytest.mark.parametrize(
    "path", ["/shipments", f"/shipments/{number('shipment preparing')}"], ids=["ask", "shipment"]
)
async def test_a_shipment_is_filled_from_every_lot_of_its_item(
    browser: "Browser", path: str
) -> None:
    region = browser.desk.region
    wanted = [transfer("yes", "accepted", accepted=12)]
    region.answers["GET /v1/transfers"] = (200, {"rows": wanted, "next": None})
    region.lists["/v1/lots"] = ("rows", [*lots(900, item="soap_bar"), *lots(MANY)])
    await browser.sign_in(Role.LOGISTICIAN)
    region.gets.clear()
    first = (await browser.get(path)).text
    assert {query["item"] for query in asked_of(browser, "/v1/lots")} == {"food_parcel"}
    assert first.count(" · B-") == ROWS_MAX
    (following,) = re.findall(r'href="(\?[^"]*lots=[^"]*)"', first)
    rest = (await browser.get(path + following.replace("&amp;", "&"))).text
    assert rest.count(" · B-") == MANY - ROWS_MAX
    assert f'value="{number(f"lot {MANY - 1}")}"' in rest


async def test_who_was_not_looked_at_is_told_of(browser: "Browser") -> None:
    region = browser.desk.region
    await browser.sign_in(Role.LEAD)
    assert "wait behind those" not in (await browser.get("/referrals")).text
    region.answers["GET /v1/proposals"] = (200, {"rows": PLACES, "next": None, "left_out": 7})
    assert "7 more needs wait behind those" in (await browser.get("/referrals")).text


async def test_what_lost_regions_owe_is_told_to_be_more_than_is_shown(browser: "Browser") -> None:
    region = browser.desk.region
    await browser.sign_in(Role.LEAD)
    assert "more than can be shown" not in (await browser.get("/regions")).text
    region.answers["GET /v1/standings"] = (200, {**STANDINGS, "left_out": ["owed"]})
    assert "more than can be shown of: debts." in (await browser.get("/regions")).text


async def test_rules_alerts_waits_and_grants_are_read_to_the_end(browser: "Browser") -> None:
    region = browser.desk.region
    wait = {**WAITS[0], "offers": []}
    region.lists |= {
        "/v1/waits": ("waits", [{**wait, "region": f"r{each}"} for each in range(MANY)]),
        "/v1/wait-rules": ("rules", [
            {**WAIT_RULES[0], "rule_id": str(number(f"rule {each}"))} for each in range(MANY)]),
        "/v1/refer-rules": ("rows", [
            {**REFER_RULES[0], "rule_id": str(number(f"rule {each}"))} for each in range(MANY)]),
        "/v1/grants": ("grants", [
            {"grant_id": str(number(f"grant {each}")), "code": f"g-{each}"}
            for each in range(MANY)]),
    }  # fmt: skip
    await browser.sign_in(Role.LEAD)
    money = (await browser.get("/money/waits")).text
    assert f"r{MANY - 1}" in money
    last = number(f"rule {MANY - 1}")
    assert f"/money/waits/rules/{last}/end" in money
    assert f"/referrals/rules/refer/{last}/end" in (await browser.get("/referrals/rules")).text
    assert f">g-{MANY - 1}<" in (await browser.get("/assets")).text


@pytest.mark.parametrize(
    ("page", "field", "path", "name", "rows"),
    [
        ("/merges", "after", "/v1/merges", "merges", MERGES[:1]),
        (f"/people/{number('person')}", "merges", "/v1/merges", "merges", MERGES[:1]),
        (f"/people/{number('person')}", "after", "/v1/needs", "needs", NEEDS[:1]),
        ("/links", "twins", "/v1/links", "links", TWINS[:1]),
        (f"/links/of/{number('person')}", "asked", "/v1/lookups", "lookups", LOOKUPS),
        ("/referrals", "got", "/v1/referrals/in", "referrals", REFERRALS[:1]),
        ("/referrals", "made", "/v1/referrals/out", "referrals", REFERRED),
        (f"/beds?site={SHELTER}", "gone", "/v1/check-outs", "rows",
         [checked_out("1-C", by_clock=True)]),
        (f"/beds?site={SHELTER}", "left", "/v1/check-outs", "rows",
         [checked_out("1-C", by_clock=True)]),
    ],
)  # fmt: skip
async def test_what_is_looked_through_goes_on(
    browser: "Browser",
    page: str,
    field: str,
    path: str,
    name: str,
    rows: list[dict[str, object]],
) -> None:
    region = browser.desk.region
    more = {"regions": ["lviv"]} if name == "lookups" else {}
    region.answers[f"GET {path}"] = (200, {name: rows, "next": "c2", **more})
    await browser.sign_in(Role.LEAD)
    text = (await browser.get(page)).text
    (following,) = re.findall(rf'href="(\?[^"]*\b{field}=c2)"', text)
    region.gets.clear()
    answer = await browser.get(page.partition("?")[0] + following.replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "c2" in [query.get("after") for query in asked_of(browser, path)]
