"""Corrections: what was typed stays when it was not taken in; check-outs are taken back."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import SHELTER, SMALL, Answer, iso, number, problem
from support.made_up.needs import NEEDS, need, whole
from support.made_up.supply import ITEMS, SITES, reservation

if TYPE_CHECKING:
    from unit.console.conftest import Browser

KEY = str(number("key"))
SITE = {"version": "3", "name": "Центр на Подолі", "address": "вул. Нова, 5"}
ITEM = {"version": "3", "name_uk": "Набір", "name_en": "New kit", "name_de": "Paket",
        "prescription": "1"}  # fmt: skip
FORMS = [
    (f"/stock/sites/{SMALL}/correct", f"/v1/sites/{SMALL}:correct", SITE),
    ("/stock/items/food_parcel", "/v1/items/food_parcel:correct", ITEM),
]


def form_of(page: str, action: str) -> str:
    """The form of a page that is sent to this path."""
    found = re.search(f'<form[^>]*action="{re.escape(action)}">.*?</form>', page, re.DOTALL)
    assert found is not None
    return found[0]


def written(form: str) -> dict[str, str]:
    """What a browser would send again."""
    found: dict[str, str] = {}
    for field in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]*)"', field)
        value = re.search(r'value="([^"]*)"', field)
        if name and value and ('type="checkbox"' not in field or " checked" in field):
            found[name[1]] = value[1]
    return found


@pytest.mark.parametrize("lists_too", [False, True])
@pytest.mark.parametrize(("path", "called", "fields"), FORMS)
async def test_without_an_answer_the_same_is_sent_again(
    browser: "Browser", path: str, called: str, fields: dict[str, str], *, lists_too: bool
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    region = browser.desk.region
    region.answers[f"POST {called}"] = (503, {})
    if lists_too:
        region.answers |= {"GET /v1/sites": (503, {}), "GET /v1/items": (503, {})}
    answer = await browser.post(path, key=KEY, **fields)
    assert answer.status_code == 503
    shown = written(form_of(answer.text, path))
    assert shown == {**fields, "key": KEY, "proof": shown["proof"], "whose": shown["whose"]}
    region.answers.clear()
    again = await browser.post(path, **shown)
    assert again.status_code == 303
    (_, first, one), (_, second, other) = region.posts
    assert first == second
    assert one["idempotency-key"] == other["idempotency-key"] == KEY


@pytest.mark.parametrize(("path", "called", "fields"), FORMS)
async def test_what_was_refused_stays_and_is_tried_on_what_others_corrected(
    browser: "Browser", path: str, called: str, fields: dict[str, str]
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    stored: dict[str, Answer] = {
        "GET /v1/sites": (200, {"rows": [{**row, "version": 4} for row in SITES]}),
        "GET /v1/items": (200, {"rows": [{**row, "version": 4} for row in ITEMS]}),
    }
    browser.desk.region.answers |= {f"POST {called}": problem(409, "version-changed"), **stored}
    answer = await browser.post(path, key=KEY, **fields)
    assert answer.status_code == 409
    shown = written(form_of(answer.text, path))
    assert shown["key"] != KEY
    rest = {name: shown[name] for name in ("key", "proof", "whose")}
    assert shown == {**fields, "version": "4", **rest}


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [(FORMS[0][0], SITE, "name"), (FORMS[1][0], ITEM, "name_en")],
)
async def test_what_makes_no_sense_is_named_beside_what_was_typed(
    browser: "Browser", path: str, fields: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    answer = await browser.post(path, key=KEY, **{**fields, wrong: ""})
    assert answer.status_code == 422
    form = form_of(answer.text, path)
    shown = written(form)
    kept = {**fields, wrong: ""}
    assert {name: shown[name] for name in kept} == kept
    assert form.count('aria-invalid="true"') == 1
    folded = answer.text[: answer.text.index(form)].rpartition("<details")[2]
    assert path != FORMS[0][0] or folded.startswith(" open>")
    assert browser.desk.region.posts == []


async def test_a_check_out_that_somebody_entered_is_taken_back_at_the_beds(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/beds?site={SHELTER}")).text
    asked = [query for path, query in browser.desk.region.gets if path == "/v1/check-outs"]
    assert sorted(query.get("left_since", "") for query in asked) == ["", iso(-7)]
    lately = page.split('id="left">')[1].split("</details>")[0]
    path = f"/beds/{number('reservation 2-C')}/undo-check-out"
    answer = await browser.post(path, **written(form_of(lately, path)))
    assert answer.headers["location"] == f"/beds?said=stays_on&site={SHELTER}"
    ((called, body, _),) = browser.desk.region.posts
    assert called == f"/v1/reservations/{number('reservation 2-C')}:undo-check-out"
    assert body == {"reason": "still_here"}


@pytest.mark.parametrize(("left_on", "offered"), [(iso(-30), True), (None, False)])
async def test_an_older_check_out_is_taken_back_at_its_need(
    browser: "Browser", left_on: str | None, *, offered: bool
) -> None:
    booking = {"resource": "bed", "code": "shelter", "from_on": iso(-40), "to_on": iso(-30),
               "left_on": left_on, "beds": ["2-A"], "places": 1}  # fmt: skip
    row = reservation("bed", "check_in", "issued", site_id=str(SHELTER), booking=booking)
    browser.desk.region.answers["POST /v1/reservations:lookup"] = (200, {"rows": [row]})
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/needs/{number('bed')}")).text
    assert (f"/beds/{number('reservation bed')}/undo-check-out" in page) is offered


@pytest.mark.parametrize("role", [Role.CASEWORKER, Role.LEAD, Role.LOGISTICIAN])
@pytest.mark.parametrize("given", [True, False])
async def test_aid_given_is_taken_back_by_a_lead_where_it_was_entered(
    browser: "Browser", role: Role, *, given: bool
) -> None:
    answers = browser.desk.region.answers
    path = f"/needs/{number('parcel')}"
    served = whole(need("parcel", "food_parcel", "fulfilled")) | {"given": given}
    answers[f"GET /v1{path}"] = (200, served)
    row = reservation("parcel", "handover", "issued")
    answers["POST /v1/reservations:lookup"] = (200, {"rows": [row]})
    await browser.sign_in(role)
    page = (await browser.get(path)).text
    # What was handed over is undone there, by whoever hands over.
    assert (f"/hand-over/{number('reservation parcel')}/undo" in page) is not given
    assert (f'action="{path}/reverse"' in page) is (given and role is Role.LEAD)
    assert ("A lead can take the service back" in page) is (given and role is Role.CASEWORKER)
    assert ("There is nothing left to do" in page) is (not given and role is not Role.LOGISTICIAN)


@pytest.mark.parametrize(("role", "offered"), [(Role.CASEWORKER, False), (Role.LEAD, True)])
@pytest.mark.parametrize("name", ["talk", "prep"])
async def test_a_service_that_intake_recorded_is_taken_back_by_a_lead(
    browser: "Browser", role: Role, name: str, *, offered: bool
) -> None:
    await browser.sign_in(role)
    path = f"/needs/{number(name)}"
    kept = whole(next(row for row in NEEDS if row["need_id"] == str(number(name))))
    browser.desk.region.answers[f"GET /v1{path}"] = (200, kept | {"state": "fulfilled"})
    page = (await browser.get(path)).text
    assert (f'action="{path}/reverse"' in page) is offered
    if offered:
        sent = await browser.post(f"{path}/reverse", reason="entry_error")
        assert sent.headers["location"] == f"{path}?said=undone"
        ((called, body, _),) = browser.desk.region.posts[-1:]
        assert (called, body) == (f"/v1{path}:reverse", {"reason": "entry_error"})


async def test_whose_it_is_is_said_of_what_was_asked_for_while_two_were_one(
    browser: "Browser",
) -> None:
    path = f"/needs/{number('parcel')}"
    row = need("parcel", "food_parcel", "ready", attention="parted")
    browser.desk.region.answers[f"GET /v1{path}"] = (200, whole(row))
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert "asked for while two people were held for one" in page
    assert "Undo the wrong one first" not in page
    assert 'name="reason" value="theirs"' in page
    sent = await browser.post(f"{path}/settle", reason="theirs")
    assert sent.headers["location"] == f"{path}?said=settled"
    ((called, body, _),) = browser.desk.region.posts[-1:]
    assert (called, body) == (f"/v1{path}:settle", {"reason": "theirs"})


async def test_it_is_referred_to_nobody_before_somebody_has_said_whose_it_is(
    browser: "Browser",
) -> None:
    path = f"/needs/{number('parcel')}"
    await browser.sign_in(Role.CASEWORKER)
    for attention, may in ((None, True), ("parted", False)):
        row = need("parcel", "food_parcel", "waitlisted", attention=attention)
        browser.desk.region.answers[f"GET /v1{path}"] = (200, whole(row))
        page = (await browser.get(path)).text
        assert (f'href="/referrals/of/{number("parcel")}"' in page) is may


@pytest.mark.parametrize(
    ("attention", "state", "asked", "button"),
    [
        ("told_to_come", "waitlisted", "the person was told to come", "They know that it is gone"),
        ("referral_refused", "referred", "the other region refused", "It is seen to"),
    ],
)
async def test_of_what_was_not_given_nobody_is_asked_whether_it_was_given_twice(
    browser: "Browser", attention: str, state: str, asked: str, button: str
) -> None:
    path = f"/needs/{number('parcel')}"
    row = need("parcel", "food_parcel", state, attention=attention)
    browser.desk.region.answers[f"GET /v1{path}"] = (200, whole(row))
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert asked in page
    assert button in page
    assert "given_twice" not in page
    sent = await browser.post(f"{path}/settle", reason="seen_to")
    assert sent.headers["location"] == f"{path}?said=settled"
    ((called, body, _),) = browser.desk.region.posts[-1:]
    assert (called, body) == (f"/v1{path}:settle", {"reason": "seen_to"})


async def test_a_conflict_of_what_ended_is_something_to_do(browser: "Browser") -> None:
    path = f"/needs/{number('parcel')}"
    row = need("parcel", "food_parcel", "cancelled", attention="told_to_come")
    browser.desk.region.answers[f"GET /v1{path}"] = (200, whole(row))
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert f'action="{path}/settle"' in page
    assert "There is nothing left to do" not in page
