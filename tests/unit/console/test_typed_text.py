"""What was typed is not lost: another language, a visit that ended, and the way back."""

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from fastapi.routing import APIRoute

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_console.i18n import Speaker
from aidmesh_console.session import COOKIE
from support.desk import FakeDesk, main_of
from support.made_up.basics import REGION, WAREHOUSE, number, problem
from unit.console.test_corrections import written

if TYPE_CHECKING:
    from .conftest import Browser

KEY = str(number("key"))
TYPED = {"key": KEY, "client_code": "КИ-0417", "chosen_name": 'Саша "Ш" <б>',
         "note": "перший рядок\nдругий", "area": "UA46", "need_food_parcel": "1"}  # fmt: skip
OF_THE_DOOR: Final = {"/sign-in", "/sign-out", "/language"}
EXAMPLES: Final = {
    "person_id": "person", "need_id": "parcel", "reservation_id": "reservation parcel",
    "grant_id": "qn", "purchase_id": "purchase draft", "lot_id": "lot a",
    "shipment_id": "shipment preparing",
}  # fmt: skip


def _switch(page: str) -> tuple[str, Mapping[str, str]]:
    """Where the buttons of the languages send to, and what goes with them."""
    form = page.split("<footer")[1].split("</form>", maxsplit=1)[0]
    action = re.search(r'action="([^"]*)"', form)
    assert action is not None
    return html.unescape(action[1]), {
        name: html.unescape(text) for name, text in written(form).items()
    }


async def _in(browser: "Browser", page: str, language: str) -> httpx.Response:
    action, fields = _switch(page)
    return await browser.post(action, **fields, desk_language=language)


def _form_routes(desk: FakeDesk) -> list[str]:
    """The path of every form, with made-up ids."""

    def example(match: re.Match[str]) -> str:
        name = match[1]
        if name.endswith("_id"):
            return str(number(EXAMPLES.get(name, name)))
        return {"code": "food_parcel", "item": "food_parcel"}.get(name, "step")

    return sorted(
        re.sub(r"{([a-z_]+)}", example, route.path)
        for route in desk.service.app.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
        and route.path not in OF_THE_DOOR
    )  # fmt: skip


async def test_what_is_only_shown_again_changes_nothing_anywhere(
    browser: "Browser", desk: FakeDesk
) -> None:
    await browser.sign_in(*Role)
    steps = ("approve", "cancel", "confirm", "handover", "undo", "check-in", "order", "take", "pay",
             "sites", "retire", "return", "end")  # fmt: skip
    fields = {"reason": "entry_error", "sure": "1", "word": "erase", "day": "2026-01-02",
              "where": f"lviv/UA46/{WAREHOUSE}", "payout": KEY,
              "table": f"{KEY} ref-12"}  # fmt: skip
    paths = _form_routes(desk)
    assert len(paths) > 60
    every = {path.replace("/step", f"/{step}") for path in paths for step in steps}
    for path in sorted(every):
        answer = await browser.post(path, **fields, **TYPED, desk_language="de")
        assert answer.status_code != 500, path
        changed = [called for called, *_ in desk.region.posts
                   if not called.endswith((":find", ":lookup"))]  # fmt: skip
        assert changed == [], path
        if answer.status_code == 200:
            assert '<html lang="de">' in answer.text, path


async def test_there_is_a_page_above_every_form(browser: "Browser", desk: FakeDesk) -> None:
    await browser.sign_in(*Role)
    for path in _form_routes(desk):
        page = await browser.post(path, proof="0" * 64)
        back = re.search(r'data-back="([^"]*)"', page.text)
        assert back is not None, path
        if path != "/told/" + str(number("parcel")):
            assert back[1] != "/", path
        assert (await browser.get(back[1])).status_code == 200, (path, back[1])


async def test_a_refused_form_is_shown_again_in_another_language(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    refused = await browser.post("/register", **TYPED)
    assert refused.status_code == 422
    again = await _in(browser, refused.text, "uk")
    assert again.status_code == 200
    assert again.request.url.path == "/register"
    assert '<html lang="uk">' in again.text
    shown = html.unescape(main_of(again.text))
    assert 'value="Саша "Ш" <б>"' in shown
    assert ">перший рядок\nдругий</textarea>" in shown
    assert f'name="key" value="{KEY}"' in shown
    assert re.search(r'id="need_food_parcel" checked', shown)
    assert '<option value="UA46" selected>' in shown
    assert "desk_language=uk" in again.headers["set-cookie"]
    assert '<html lang="uk">' in (await browser.get("/needs")).text
    assert all("КИ" not in str(each.url) for each in (refused, again))


async def test_what_was_refused_is_tried_under_a_new_key_in_any_language(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    region = browser.desk.region
    fields = {
        **TYPED,
        "client_code": "КИ-0500",
        "chosen_name": "",
        "area": "",
        "place_area": "UA80",
    }
    for answered, kept in ((problem(409, "conflict"), False), ((503, {}), True)):
        region.answers["POST /v1/requests"] = answered
        refused = await browser.post("/register", **fields)
        assert refused.status_code >= 400
        again = await _in(browser, refused.text, "uk")
        assert (f'name="key" value="{KEY}"' in again.text) is kept
        assert Speaker("uk")("problem.not-asked") in html.unescape(again.text)
        assert 'value="КИ-0500"' in main_of(again.text)


async def test_another_language_keeps_what_was_asked_for(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = await browser.get("/needs?state=waitlisted&kind=food_parcel")
    answer = await _in(browser, page.text, "de")
    assert answer.headers["location"] == "/needs?state=waitlisted&kind=food_parcel"
    assert "desk_language=de" in answer.headers["set-cookie"]


async def test_nobody_is_sent_elsewhere_by_what_is_asked_for(browser: "Browser") -> None:
    await browser.get("/sign-in")
    for query in ("//evil.test", "a=https://evil.test", "x" * 3000, "\r\nSet-Cookie: a=b"):
        answer = await browser.post("/language", back="/needs", query=query, desk_language="de")
        assert answer.headers["location"].startswith("/needs")
        assert "\n" not in answer.headers["location"]


async def test_what_a_refused_merge_named_stays(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    person = number("person")
    other = number("other")
    browser.desk.region.answers["POST /v1/persons:find"] = (200, {"person_id": str(other)})
    browser.desk.region.answers[f"POST /v1/persons/{other}:merge"] = problem(409, "conflict")
    for fields, status in (({}, 422), ({"sure": "1"}, 409)):
        answer = await browser.post(f"/people/{person}/merge", other_code="КИ-2", **fields)
        assert answer.status_code == status
        assert 'name="other_code" type="text" value="КИ-2"' in answer.text


async def test_what_is_found_at_the_counter_has_an_address_without_the_code(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post("/hand-over/find", wanted="КИ-0417")
    assert answer.headers["location"] == f"/hand-over?person={number('person')}"
    page = await browser.get(answer.headers["location"])
    assert f"/hand-over/{number('reservation parcel')}/handover" in page.text


async def _typed_too_late(browser: "Browser") -> httpx.Response:
    await browser.sign_in(Role.CASEWORKER)
    await browser.get("/register")
    page = (await browser.get("/register")).text
    whose = re.search(r'name="whose" value="([0-9a-f]+)"', page)
    assert whose is not None
    browser.http.cookies.delete(COOKIE)
    return await browser.post("/register", **TYPED, whose=whose[1])


def _kept(page: str) -> str:
    found = re.search(r'name="kept" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def _sign_in(browser: "Browser", page: str, token: str, kept: str) -> httpx.Response:
    proof = re.search(r'name="proof" value="([0-9a-f]+)"', page)
    assert proof is not None
    return await browser.post("/sign-in", token=token, kept=kept, next="/register", proof=proof[1])


async def test_a_form_that_came_too_late_waits_for_whoever_typed_it(
    browser: "Browser",
) -> None:
    late = await _typed_too_late(browser)
    assert late.status_code == 403
    assert browser.desk.region.posts == []
    say = Speaker("en")
    assert say("sign_in.ended") in late.text
    assert say("sign_in.kept") in late.text
    # Whoever finds the browser reads nothing, not in another language either.
    assert "КИ" not in late.text
    assert "Саша" not in late.text
    german = await _in(browser, late.text, "de")
    assert german.status_code == 200
    assert Speaker("de")("sign_in.ended") in german.text
    kept = _kept(german.text)
    assert kept == _kept(late.text)
    token = browser.desk.token([Role.CASEWORKER])
    wrong = await _sign_in(browser, german.text, "nonsense", kept)
    assert (wrong.status_code, _kept(wrong.text)) == (403, kept)
    offered = await _sign_in(browser, german.text, token, kept)
    assert offered.status_code == 200
    form = offered.text.split("<main")[1].split("</form>")[0]
    fields = {name: html.unescape(text) for name, text in written(form).items()}
    assert fields.items() >= TYPED.items()
    browser.proof = fields["proof"]
    shown = await browser.post("/register", **fields, desk_language="en")
    assert shown.status_code == 200
    assert 'value="КИ-0417"' in main_of(shown.text)
    assert browser.desk.region.posts == []
    sent = await browser.post(
        "/register", **fields, place_area="UA80", same_as=str(number("person"))
    )
    assert sent.status_code == 303


@pytest.fixture
def other_token(desk: FakeDesk) -> str:
    """A token of somebody else with the same role."""
    signer = KeyRing(desk.keys_dir, [TOKENS]).token_signer()
    return issue_token(
        signer, number("colleague"), [Role.CASEWORKER], REGION, datetime.now(UTC), 600
    )


async def test_nobody_else_is_shown_what_came_too_late(
    browser: "Browser", desk: FakeDesk, other_token: str
) -> None:
    late = await _typed_too_late(browser)
    answer = await _sign_in(browser, late.text, other_token, _kept(late.text))
    assert answer.headers["location"] == "/register?said=kept_for_another"
    page = await browser.get(answer.headers["location"])
    assert Speaker("en")("said.kept_for_another") in html.unescape(page.text)


@pytest.mark.parametrize("damage", [lambda text: text[:-8] + "AAAAAAA=", lambda text: "КИ-0417"])
async def test_only_what_this_desk_sealed_is_shown(
    browser: "Browser", damage: Callable[[str], str]
) -> None:
    late = await _typed_too_late(browser)
    token = browser.desk.token([Role.CASEWORKER])
    answer = await _sign_in(browser, late.text, token, damage(_kept(late.text)))
    assert answer.headers["location"] == "/register?said=not_kept"


async def test_what_is_too_long_to_keep_has_to_be_entered_again(browser: "Browser") -> None:
    await browser.get("/sign-in")
    late = await browser.post("/money/settle", whose="0", table="x" * 70_000)
    assert 'name="kept"' not in late.text
    assert Speaker("en")("sign_in.not_kept") in late.text


async def _typed_before(browser: "Browser", token: str) -> dict[str, str]:
    """A form that was opened in one visit, and sent in the next, which this token began."""
    await browser.sign_in(Role.CASEWORKER)
    old = {name: html.unescape(text) for name, text in written(
        (await browser.get("/register")).text.split("<footer")[0]).items()}  # fmt: skip
    await browser.post("/sign-out")
    await browser.get("/sign-in")
    await browser.post("/sign-in", token=token)
    return {"proof": old["proof"], "whose": old["whose"], **TYPED}


async def test_a_form_of_the_visit_before_is_shown_to_the_same_person(browser: "Browser") -> None:
    fields = await _typed_before(browser, browser.desk.token([Role.CASEWORKER]))
    offered = await browser.post("/register", **fields)
    assert offered.status_code == 403
    assert Speaker("en")("kept.hint") in offered.text
    form = offered.text.split("<main")[1].split("</form>")[0]
    anew = {name: html.unescape(text) for name, text in written(form).items()}
    assert anew["proof"] != fields["proof"]
    shown = await browser.post("/register", **anew, desk_language="en")
    assert 'value="КИ-0417"' in main_of(shown.text)
    assert browser.desk.region.posts == []


async def test_nobody_else_is_shown_a_form_of_the_visit_before(
    browser: "Browser", other_token: str
) -> None:
    fields = await _typed_before(browser, other_token)
    answer = await browser.post("/register", **fields)
    assert answer.status_code == 403
    assert "out of date" in answer.text
    assert "КИ" not in answer.text


async def test_another_site_has_no_form_shown(browser: "Browser") -> None:
    fields = await _typed_before(browser, browser.desk.token([Role.CASEWORKER]))
    answer = await browser.http.post(
        "/register", data=fields, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "КИ" not in answer.text


@pytest.mark.parametrize(
    ("asked", "back"),
    [("?next=%2Fneeds", "&next=%2Fneeds"), ("", ""), ("?next=%2F%2Fevil.test", "")],
)
async def test_whoever_did_nothing_for_a_while_goes_on_where_they_were(
    browser: "Browser", asked: str, back: str
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.get(f"/idle{asked}")
    assert answer.headers["location"] == f"/sign-in?said=idle{back}"
    assert (await browser.get("/needs")).status_code == 303


async def test_a_page_says_why_it_asks_to_sign_in(browser: "Browser") -> None:
    assert (await browser.get("/needs")).headers["location"] == "/sign-in?next=%2Fneeds"
    await browser.sign_in(Role.CASEWORKER)
    browser.http.cookies.set(COOKIE, "over")
    answer = await browser.get(f"/people/{number('person')}?said=registered")
    assert answer.headers["location"] == (
        f"/sign-in?next=%2Fpeople%2F{number('person')}&said=ended"
    )
    assert Speaker("en")("said.ended") in (await browser.get(answer.headers["location"])).text
