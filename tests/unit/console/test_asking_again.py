"""The next request of somebody who is known: from their page, for the same person."""

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.datastructures import FormData

from aidmesh_chassis.auth import Role
from aidmesh_console import i18n
from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.forms import Form
from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.pages.registering import request_of
from aidmesh_intake.api.requests import RequestIn
from support.desk import main_of
from support.made_up.basics import kinds, number, problem

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
PERSON, HOME = number("person"), number("household")
PATH = f"/people/{PERSON}/request"
ASKED = {"key": KEY, "place_area": "UA80", "need_food_parcel": "1"}
KINDS = [Kind.model_validate(each) for each in kinds()]


def request(**fields: str) -> tuple[dict[str, Any], Form]:
    """What the form means for somebody who is known."""
    form = Form(FormData(list({**ASKED, **fields}.items())))
    return request_of(form, KINDS, i18n.today(), PERSON), form


@pytest.mark.parametrize(
    ("fields", "whose"),
    [
        ({"client_code": "КИ-9", "household_id": str(HOME)}, {"for_whom": "person"}),
        (
            {"for_whom": "household", "household_id": str(HOME)},
            {"for_whom": "household", "household_id": str(HOME)},
        ),
    ],
)
def test_it_is_for_the_person_or_their_household_and_nobody_else(
    fields: dict[str, str], whose: dict[str, str]
) -> None:
    body, form = request(**fields)
    assert form.faults == {}
    names = ("for_whom", "person", "person_id", "household_id")
    assert {name: body[name] for name in names if name in body} == whose | {
        "person_id": str(PERSON)
    }
    assert RequestIn.model_validate(body).who() == PERSON


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"for_whom": "group", "headcount": "9"}, {"for_whom": "choice"}),
        ({"for_whom": "site", "site_id": str(HOME)}, {"for_whom": "choice"}),
        ({"for_whom": "household"}, {"household_id": "missing"}),
    ],
)
def test_it_is_for_no_group_no_site_and_no_household_that_they_do_not_have(
    fields: dict[str, str], faults: dict[str, str]
) -> None:
    _, form = request(**fields)
    assert faults.items() <= form.faults.items()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_their_page_leads_to_a_request_for_them(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    say = Speaker(language)
    shown = (await browser.get(f"/people/{PERSON}", language)).text
    assert f'href="{PATH}">{say("people.new_request")}</a>' in shown
    text = (await browser.get(PATH, language)).text
    assert f'action="{PATH}"' in text
    assert f"<h1>{say('people.new_request')}</h1>" in text
    assert say("person.audited") in text
    assert "<b>Саша</b>" in text
    assert "КИ-0417" in text
    # Nothing that their own page is for, and nobody else.
    assert "+380 50 000 0000" not in text
    for name in ("client_code", "chosen_name", "contact_address", "household_code", "headcount"):
        assert f'name="{name}"' not in text
    assert re.findall(r'name="for_whom" value="(\w+)"', text) == ["person", "household"]


async def test_it_is_entered_once_for_the_same_person(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    await browser.get(PATH)
    answer = await browser.post(PATH, **ASKED, for_whom="household", household_id=str(HOME))
    assert answer.headers["location"] == f"/people/{PERSON}?said=registered_again"
    ((path, body, headers),) = browser.desk.region.posts
    assert path == "/v1/requests"
    assert (body["person_id"], body["household_id"]) == (str(PERSON), str(HOME))
    assert "person" not in body
    assert headers["idempotency-key"] == KEY
    after = (await browser.get(answer.headers["location"])).text
    assert Speaker("en")("said.registered_again") in after


async def test_who_is_of_no_household_is_asked_for_alone(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    alone = browser.desk.region(_get(f"/v1/persons/{PERSON}")).json() | {"household_id": None}
    browser.desk.region.answers[f"GET /v1/persons/{PERSON}"] = (200, alone)
    text = (await browser.get(PATH)).text
    assert 'name="for_whom"' not in text
    assert 'name="household_id"' not in text
    # They left meanwhile: the form is shown again as it is now.
    answer = await browser.post(PATH, key=KEY, for_whom="household", household_id=str(HOME))
    assert answer.status_code == 422
    assert str(HOME) not in main_of(answer.text)
    assert browser.desk.region.posts == []


async def test_what_was_typed_is_kept_and_for_the_same_person(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/requests"] = problem(409, "other-household")
    refused = await browser.post(PATH, **ASKED, household_id=str(HOME), note="лише <вранці>")
    assert refused.status_code == 409
    assert Speaker("en")("problem.other-household") in refused.text
    browser.desk.region.answers["POST /v1/requests"] = (503, {})
    browser.desk.region.answers[f"GET /v1/persons/{PERSON}"] = (503, {})
    silent = await browser.post(PATH, **ASKED, household_id=str(HOME), note="лише <вранці>")
    assert silent.status_code == 503
    assert f'name="key" value="{KEY}"' in silent.text
    assert PERSON.hex[:8].upper() in silent.text
    assert f'name="household_id" value="{HOME}"' in silent.text
    for answer in (refused, silent):
        assert f'action="{PATH}"' in answer.text
        assert "лише &lt;вранці&gt;" in answer.text


async def test_a_record_behind_another_leads_to_that_one(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    behind = number("behind")
    root = browser.desk.region(_get(f"/v1/persons/{PERSON}")).json()
    browser.desk.region.answers[f"GET /v1/persons/{behind}"] = (200, root)
    answer = await browser.get(f"/people/{behind}/request")
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    answer = await browser.post(f"/people/{behind}/request", **ASKED)
    assert answer.headers["location"] == f"/people/{PERSON}?said=registered_again"


async def test_nobody_is_asked_for_who_is_not_there(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert (await browser.get(f"/people/{number('nobody')}/request")).status_code == 404


@pytest.mark.parametrize("role", [Role.LOGISTICIAN, Role.FINANCE, Role.APPROVER, Role.ONCALL])
async def test_only_who_registers_asks_for_them(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    for answer in (await browser.get(PATH), await browser.post(PATH, **ASKED)):
        assert answer.status_code == 403
        assert Speaker("en")("problem.forbidden") in answer.text
    asked = [path for path, _ in browser.desk.region.gets]
    assert f"/v1/persons/{PERSON}" not in asked
    assert browser.desk.region.posts == []


@pytest.mark.parametrize(
    ("who", "target"),
    [
        ({"chosen_name": "Саша"}, f"/people/{PERSON}?said=registered_without_code"),
        ({"client_code": "КИ-9", "chosen_name": "Саша"}, "/needs?said=registered&request="),
        ({"for_whom": "group", "headcount": "9"}, "/needs?said=registered&request="),
    ],
)
async def test_after_registering_without_a_code_their_page_is_shown(
    browser: "Browser", who: dict[str, str], target: str
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    kind = "condoms_lubricant" if "headcount" in who else "food_parcel"
    fields = {"key": KEY, "place_area": "UA80", f"need_{kind}": "1"}
    answer = await browser.post("/register", **fields, **who)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(target)
    assert "Саша" not in answer.headers["location"]
    after = (await browser.get(answer.headers["location"])).text
    say = Speaker("en")
    assert (say("said.registered_without_code") in after) == ("people" in target)


async def test_a_known_code_leads_to_its_person(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    known = await browser.post("/register/find", client_code="КИ-9", chosen_name="Оля")
    assert f'href="/people/{PERSON}"' in known.text
    assert Speaker("en")("register.known") in known.text
    browser.desk.region.answers["POST /v1/persons:find"] = problem(404, "not-found")
    new = await browser.post("/register/find", client_code="КИ-10", chosen_name="Оля")
    assert "/people/" not in new.text
    assert Speaker("en")("register.new") in new.text
    for answer in (known, new):
        assert 'value="Оля"' in answer.text


def _get(path: str) -> httpx.Request:
    return httpx.Request("GET", f"http://intake.test{path}")
