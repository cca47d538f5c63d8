"""People in two regions at the desk: whom to ask, what was found, and who decides."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import number, problem

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "00000000-0000-4000-8000-000000000001"
PERSON = number("person")
OF_PERSON = f"/links/of/{PERSON}"


@pytest.mark.parametrize("language", ["uk", "en", "de"])
async def test_every_state_has_its_words_and_its_buttons(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/links", language)).text
    buttons = {
        "twin found": ("confirm", "refuse"),
        "twin said": ("refuse",),
        "twin linked": ("refuse",),
        "twin refused": (),
    }
    for name, steps in buttons.items():
        for step in ("confirm", "refuse"):
            path = f'action="/links/{number(name)}/{step}"'
            assert page.count(path) == (step in steps)
    assert f'href="/people/{PERSON}"' in page
    of_person = (await browser.get(OF_PERSON, language)).text
    assert of_person.count("<option") == 2
    assert f'href="{OF_PERSON}"' in (await browser.get(f"/people/{PERSON}", language)).text


async def test_another_region_is_asked_with_the_code_that_was_shown(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post(OF_PERSON, key=KEY, region="lviv", code="LV-17")
    assert answer.headers["location"] == f"{OF_PERSON}?said=lookup_asked"
    ((called, body, headers),) = browser.desk.region.posts
    assert called == f"/v1/persons/{PERSON}:look-for"
    assert body == {"to_region": "lviv", "code": "LV-17"}
    assert headers["idempotency-key"] == KEY
    assert (await browser.post(OF_PERSON, key=KEY, region="")).status_code == 422


@pytest.mark.parametrize("slug", ["no-consent-to-lookup", "too-many-lookups", "link-not-allowed"])
async def test_what_is_refused_is_said_in_words(browser: "Browser", slug: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers[f"POST /v1/persons/{PERSON}:look-for"] = problem(409, slug)
    page = await browser.post(OF_PERSON, key=KEY, region="lviv")
    assert page.status_code == 409
    assert 'role="alert"' in page.text
    assert slug not in page.text


@pytest.mark.parametrize("step", ["confirm", "refuse"])
async def test_somebody_decides(browser: "Browser", step: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"/links/{number('twin found')}/{step}"
    answer = await browser.post(path, key=KEY, person=str(PERSON))
    assert answer.headers["location"].startswith(f"{OF_PERSON}?said=link_")
    ((called, _, _),) = browser.desk.region.posts
    assert called == f"/v1/links/{number('twin found')}:{step}"
    assert (await browser.post(path, key=KEY)).headers["location"].startswith("/links?")
    wrong = f"/links/{number('twin found')}/merge"
    assert (await browser.post(wrong, key=KEY)).status_code == 404


async def test_only_who_decides_about_people_sees_them(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    assert (await browser.get("/links")).status_code == 403
