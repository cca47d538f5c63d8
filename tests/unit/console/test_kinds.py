"""The catalogue at the desk: who sees what of it, and what a lead changes."""

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES, Speaker
from support.made_up.basics import iso, kinds, number, problem, whole_kind
from unit.console.test_corrections import form_of, written
from unit.console.test_kind_forms import GOODS, NAMED

if TYPE_CHECKING:
    from .conftest import Browser

PAGE = "/kinds/shelter_outside"
PUT = "/v1/kinds/shelter_outside"


def to_come(**more: object) -> dict[str, Any]:
    """A bed with a partner whose price changes in 20 days."""
    kind: dict[str, Any] = whole_kind("shelter_outside", **more)
    kind["money"]["prices"].append({"from_on": iso(20), "amount_minor": 85_000, "currency": "UAH"})
    return kind


def shown(browser: "Browser", **more: object) -> dict[str, Any]:
    """Have intake show that kind; it."""
    kind = to_come(**more)
    browser.desk.region.answers[f"GET {PUT}"] = (200, kind)
    return kind


def puts(browser: "Browser") -> list[tuple[str, dict[str, Any]]]:
    """What intake was given."""
    return [(path, body) for path, body, _ in browser.desk.region.posts]


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_sees_the_catalogue_and_only_a_lead_changes_it(
    browser: "Browser", role: Role
) -> None:
    await browser.sign_in(role)
    shown(browser)
    listed, one = (await browser.get("/kinds")).text, (await browser.get(PAGE)).text
    leads = role is Role.LEAD
    assert 'href="/kinds/food_parcel"' in listed
    assert ('href="/new-kind"' in listed) == leads
    for step in ("price", "drop-price", "end"):
        assert (f'action="{PAGE}/{step}"' in one) == leads, step
    if not leads:
        for path in (f"{PAGE}/price", f"{PAGE}/drop-price", f"{PAGE}/end", f"{PAGE}/offer"):
            assert (await browser.post(path, version="2")).status_code == 403
        assert (await browser.get("/new-kind")).status_code == 403
        assert (await browser.post("/new-kind", **NAMED)).status_code == 403
    assert puts(browser) == []
    # Whoever sees no sensitive need is told that there is more than this.
    hidden = "shown only to those who work with them" in listed
    assert hidden == (role not in {Role.CASEWORKER, Role.LEAD})


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_kind_is_told_in_words(browser: "Browser", language: str) -> None:
    say = Speaker(language)
    await browser.sign_in(Role.FINANCE)
    kind = shown(browser, limits=[{"per": "household", "count": 2, "days": 30, "kinds": []}])
    browser.desk.region.answers["GET /v1/kinds"] = (200, {"kinds": [kind], "programmes": []})
    listed, one = [(await browser.get(path, language)).text for path in ("/kinds", PAGE)]
    for page in (listed, one):
        assert say.money(70_000, "UAH") + " " + say("kinds.a_night") in page
        assert say("kinds.from_day", day=say.day(date(2024, 1, 1))) in page
        assert say("kinds.from_day", day=say.day(date.fromisoformat(iso(20)))) in page
        assert say("kinds.limit.household", 2, days="30") in page
        assert say("kinds.nights", 7) in page
        assert say("kinds.by.provider") in page
    for badge in ("kinds.in_force", "kinds.to_come"):
        assert one.count(f">{say(badge)}</span>") == 1


async def test_what_has_ended_is_apart_and_its_needs_keep_their_name(browser: "Browser") -> None:
    every = kinds()
    parcel = next(each for each in every if each["code"] == "food_parcel")
    parcel["active"] = False
    browser.desk.region.answers["GET /v1/kinds"] = (200, {"kinds": every, "programmes": []})
    await browser.sign_in(Role.LEAD)
    offered, _, ended = (await browser.get("/kinds")).text.partition("<details")
    assert 'href="/kinds/food_parcel"' not in offered
    assert 'href="/kinds/food_parcel"' in ended
    # Older needs are of it; new ones can't be, but for aid that was given.
    assert ">Продуктовий набір<" in (await browser.get("/needs", "uk")).text
    assert 'name="need_food_parcel"' not in (await browser.get("/register")).text
    assert 'name="need_food_parcel"' in (await browser.get("/register?given")).text
    fields = {"client_code": "КИ-9", "place_area": "UA80", "need_food_parcel": "1"}
    assert (await browser.post("/register", **fields)).status_code == 422
    assert (await browser.post("/register", given="1", **fields)).status_code == 303
    lot = f"/stock/lots/{number('lot a')}"
    assert 'name="kind" value="food_parcel"' not in (await browser.get(lot)).text


@pytest.mark.parametrize(
    ("step", "fields", "change", "said"),
    [
        ("price", {"price": "900,50", "from_on": iso(3)},
         [("2022-03-01", 60_000), ("2024-01-01", 70_000), (iso(3), 90_050), (iso(20), 85_000)],
         "price_set"),
        ("price", {"price": "900", "from_on": iso(20)},
         [("2022-03-01", 60_000), ("2024-01-01", 70_000), (iso(20), 90_000)], "price_set"),
        ("drop-price", {"from_on": iso(20)},
         [("2022-03-01", 60_000), ("2024-01-01", 70_000)], "price_dropped"),
    ],
)  # fmt: skip
async def test_a_price_is_set_and_dropped_and_the_rest_stays(
    browser: "Browser",
    step: str,
    fields: dict[str, str],
    change: list[tuple[str, int]],
    said: str,
) -> None:
    await browser.sign_in(Role.LEAD)
    kind = shown(browser, unknown_here={"kept": True})
    answer = await browser.post(f"{PAGE}/{step}", version="2", **fields)
    assert answer.headers["location"] == f"{PAGE}?said={said}"
    ((path, body),) = puts(browser)
    assert path == PUT
    assert [(each["from_on"], each["amount_minor"]) for each in body["money"].pop("prices")] == (
        change
    )
    kind["money"].pop("prices")
    assert body == {**kind, "version": 3}
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text


@pytest.mark.parametrize(("step", "active"), [("end", True), ("offer", False)])
async def test_a_kind_ends_and_is_offered_again(
    browser: "Browser", step: str, *, active: bool
) -> None:
    await browser.sign_in(Role.LEAD)
    kind = shown(browser, active=active)
    page = (await browser.get(PAGE)).text
    assert (f'action="{PAGE}/end"' in page, f'action="{PAGE}/offer"' in page) == (
        active, not active,
    )  # fmt: skip
    form = form_of(page.replace(" novalidate", ""), f"{PAGE}/{step}")
    assert Speaker("en")(f"kinds.{step}_hint") in page.replace("&#39;", "'")
    await browser.post(f"{PAGE}/{step}", **written(form))
    assert puts(browser) == [(PUT, {**kind, "active": not active, "version": 3})]
    # Where there was no answer the first time, the second one changes nothing.
    shown(browser, active=not active, version=3)
    again = await browser.post(f"{PAGE}/{step}", **written(form))
    assert (again.status_code, len(puts(browser))) == (303, 1)


@pytest.mark.parametrize(
    ("step", "fields", "wrong"),
    [
        ("price", {"price": "much", "from_on": iso(3)}, "An amount, such as"),
        ("price", {"price": "5"}, "Fill this in"),
        ("drop-price", {"from_on": "2024-01-01"}, "This price holds already"),
        ("drop-price", {"from_on": iso()}, "This price holds already"),
    ],
)
async def test_a_price_that_makes_no_sense_is_not_sent(
    browser: "Browser", step: str, fields: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.LEAD)
    shown(browser)
    answer = await browser.post(f"{PAGE}/{step}", version="2", **fields)
    assert (answer.status_code, puts(browser)) == (422, [])
    assert wrong in answer.text


async def test_what_somebody_else_changed_is_looked_at_first(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    shown(browser, version=5)
    browser.desk.region.answers[f"PUT {PUT}"] = problem(409, "conflict")
    answer = await browser.post(f"{PAGE}/price", version="4", price="5", from_on=iso(3))
    assert answer.status_code == 409
    assert "Something changed in the meantime" in answer.text
    assert puts(browser)[0][1]["version"] == 5
    again = written(form_of(answer.text.replace(" novalidate", ""), f"{PAGE}/price"))
    assert (again["version"], again["price"], again["from_on"]) == ("5", "5", iso(3))


async def test_there_are_no_other_kinds_and_steps(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path in ("/kinds/nothing", "/kinds/No", "/kinds/a%3Flimit=1"):
        assert (await browser.get(path)).status_code == 404
    assert (await browser.post(f"{PAGE}/erase", version="2")).status_code == 404
    # What costs nothing has no price.
    fields = {"version": "1", "price": "5", "from_on": iso(3)}
    assert (await browser.post("/kinds/food_parcel/price", **fields)).status_code == 404
    assert (await browser.post(f"{PAGE}/end", version="2", proof="forged")).status_code == 403
    assert puts(browser) == []


async def test_a_new_kind_is_entered(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/new-kind")).text
    assert page.count('name="for_whom"') == 4
    begun = written(form_of(page.replace(" novalidate", ""), "/new-kind"))
    answer = await browser.post("/new-kind", **{**begun, **NAMED, **GOODS})
    assert answer.headers["location"] == "/kinds/winter_kit?said=kind_added"
    ((path, body),) = puts(browser)
    assert (path, body["version"], body["stock"]) == (
        "/v1/kinds/winter_kit", 1, [{"item": "blanket", "quantity": 2}],
    )  # fmt: skip


async def test_what_is_wrong_with_a_new_kind_is_named_and_what_was_typed_stays(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LEAD)
    fields = {name: text for name, text in (NAMED | GOODS).items() if name != "for_whom"}
    whom = ["person", "site"]
    answer = await browser.post("/new-kind", for_whom=whom, **{**fields, "name_de": ""})
    assert (answer.status_code, puts(browser)) == (422, [])
    assert 'id="fault-name_de"' in answer.text
    for text in ('value="winter_kit"', 'value="Набір"', 'value="site" checked'):
        assert text in answer.text
    assert 'value="household" checked' not in answer.text
    refused = problem(422, "invalid-request", errors=[{"field": "body.names.uk", "rule": "long"}])
    browser.desk.region.answers["PUT /v1/kinds/winter_kit"] = refused
    answer = await browser.post("/new-kind", for_whom=whom, **fields)
    assert answer.status_code == 409
    assert 'id="fault-name_uk"' in answer.text
    assert 'value="Paket"' in answer.text
    browser.desk.region.down.add("intake")
    answer = await browser.post("/new-kind", for_whom=whom, **fields)
    assert answer.status_code == 503
    assert 'value="Paket"' in answer.text


@pytest.mark.parametrize(("stored", "status"), [({}, 303), ({"programme": "cash"}, 409)])
async def test_a_code_that_is_there_names_the_same_kind_or_is_taken(
    browser: "Browser", stored: dict[str, object], status: int
) -> None:
    await browser.sign_in(Role.LEAD)
    await browser.post("/new-kind", **NAMED, **GOODS)
    ((_, body),) = puts(browser)
    region = browser.desk.region
    region.answers["PUT /v1/kinds/winter_kit"] = problem(409, "conflict")
    region.answers["GET /v1/kinds/winter_kit"] = (200, {**body, "hold_s": 900, **stored})
    answer = await browser.post("/new-kind", **NAMED, **GOODS)
    assert answer.status_code == status
    assert ("Something else has this code" in answer.text) == (status == 409)
