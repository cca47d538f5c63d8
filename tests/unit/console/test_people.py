"""The page of a person: what is sent when they are changed, united with another record, erased."""

import re
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.intake_views import Person
from aidmesh_console.forms import Form
from aidmesh_console.pages.registering import SAFE, change_of
from aidmesh_intake.api.persons import PersonChange
from aidmesh_intake.handlers import people
from support.desk import main_of
from support.made_up.basics import number, problem
from support.made_up.needs import MERGES, need

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
PERSON = number("person")
DAY = date(2024, 4, 12)
KNOWN = Person.model_validate({
    "person_id": str(PERSON), "version": 3, "languages": ["uk", "ru"], "area": "UA80",
    "origin_area": None, "consents": {"contact": "2024-01-05"},
    "details": {"client_code": "КИ-1", "contact": {
        "channel": "sms", "address": "+380501112233", "hours_from": "10:00", "hours_to": "18:00",
        "wording": "neutral", "safe": True}},
})  # fmt: skip


def _change(*more: tuple[str, str]) -> tuple[dict[str, Any], Form]:
    form = Form(FormData([("version", "3"), ("client_code", "КИ-1"), *more]))
    return change_of(form, KNOWN, DAY), form


def test_what_is_not_touched_stays() -> None:
    body, form = _change(("consent_contact", "1"), ("language", "uk"), ("also", "ru"))
    assert form.faults == {}
    assert body["contact"] == {
        "channel": "sms", "address": "+380501112233", "hours_from": "10:00", "hours_to": "18:00",
        "wording": "neutral", "safe": True,
    }  # fmt: skip
    assert body["consents"] == {"contact": "2024-01-05"}
    assert body["languages"] == ["uk", "ru"]
    assert body["version"] == 3


def test_a_consent_taken_back_makes_the_contact_unusable() -> None:
    body, _ = _change()
    assert body["consents"] == {}
    assert body["contact"]["safe"] is False


@given(marked=st.sets(st.sampled_from(SAFE)))
def test_a_new_contact_is_safe_only_with_all_three_marks(marked: set[str]) -> None:
    body, _ = _change(
        ("consent_contact", "1"), ("contact_way", "change"), ("contact_address", "a@example.org"),
        ("contact_channel", "email"), ("hours_from", "10:00"), ("hours_to", "18:00"),
        *((each, "1") for each in sorted(marked)),
    )  # fmt: skip
    assert body["contact"]["address"] == "a@example.org"
    assert body["contact"]["safe"] is (marked == set(SAFE))


def test_a_contact_is_removed_only_when_asked() -> None:
    body, _ = _change(("contact_way", "remove"))
    assert "contact" not in body
    _, form = _change(("contact_way", "change"))
    assert form.faults == {"contact_address": "missing"}


@given(
    way=st.sampled_from(["keep", "change", "remove"]),
    fields=st.dictionaries(
        st.sampled_from(["chosen_name", "legal_name", "note", "area", "origin_area"]),
        st.sampled_from(["UA80", "UA46"]),
    ),
    consents=st.sets(st.sampled_from(["contact", "data", "referral"])),
)
def test_what_the_form_accepts_intake_understands(
    way: str, fields: dict[str, str], consents: set[str]
) -> None:
    body, form = _change(
        ("contact_way", way), ("contact_channel", "sms"), ("contact_address", "+380501112233"),
        *fields.items(),
        *((f"consent_{each}", "1") for each in sorted(consents)),
    )  # fmt: skip
    assert form.faults == {}
    PersonChange.model_validate(body)


def test_a_long_note_is_not_cut() -> None:
    body, _ = _change(("note", "н" * 9000))
    assert len(body["note"]) == 9000


async def test_a_legal_name_is_not_on_an_open_screen(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    found = KNOWN.model_dump(mode="json") | {
        "details": {"chosen_name": "Саша", "legal_name": "Олександра К."}
    }
    browser.desk.region.answers[f"GET /v1/persons/{PERSON}"] = (200, found)
    page = (await browser.get(f"/people/{PERSON}")).text
    assert page.count("Олександра К.") == 2
    closed = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert "Саша" in closed
    assert "Олександра К." not in closed


async def test_a_person_is_written_anew(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = await browser.get(f"/people/{PERSON}")
    assert 'name="version" value="3"' in page.text
    assert "/unmerge" not in page.text
    assert "/confirm" not in page.text
    assert "/erase" not in page.text
    answer = await browser.post(
        f"/people/{PERSON}", version="3", client_code="КИ-0418", consent_contact="1"
    )
    assert answer.status_code == 303
    ((path, body, _),) = browser.desk.region.posts
    assert path == f"/v1/persons/{PERSON}"
    assert body["client_code"] == "КИ-0418"
    assert body["version"] == 3


async def test_somebody_else_was_faster(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers[f"PUT /v1/persons/{PERSON}"] = problem(409, "conflict")
    answer = await browser.post(f"/people/{PERSON}", version="2", client_code="КИ-0499")
    assert answer.status_code == 409
    assert "Something changed in the meantime" in answer.text
    assert "КИ-0499" not in main_of(answer.text)
    assert 'name="version" value="3"' in answer.text


async def test_a_page_of_before_a_merge_changes_nothing_of_the_other(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    behind = number("behind")
    browser.desk.region.answers[f"GET /v1/persons/{behind}"] = (200, KNOWN.model_dump(mode="json"))
    # Also where what was typed would be sent back to be mended, to the page of the other.
    for typed in ({"client_code": "КИ-0499"}, {"client_code": "", "chosen_name": ""}):
        answer = await browser.post(f"/people/{behind}", version="1", **typed)
        assert answer.status_code == 409
        assert "Something changed in the meantime" in answer.text
        assert "КИ-0499" not in main_of(answer.text)
        assert f'action="/people/{PERSON}"' in answer.text
        assert 'name="version" value="3"' in answer.text
    assert browser.desk.region.posts == []


async def test_two_records_are_said_to_be_one(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    other = number("other")
    browser.desk.region.answers["POST /v1/persons:find"] = (200, {"person_id": str(other)})
    unsure = await browser.post(f"/people/{PERSON}/merge", other_code="КИ-2")
    assert unsure.status_code == 422
    assert browser.desk.region.posts == []
    answer = await browser.post(f"/people/{PERSON}/merge", key=KEY, other_code="КИ-2", sure="1")
    assert answer.headers["location"] == f"/people/{PERSON}?said=merge_proposed"
    _, (path, body, headers) = browser.desk.region.posts
    assert path == f"/v1/persons/{other}:merge"
    assert body == {"into_person_id": str(PERSON)}
    assert headers["idempotency-key"] == KEY


async def test_a_merge_needs_a_code_that_is_known(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["POST /v1/persons:find"] = problem(404, "not-found")
    answer = await browser.post(f"/people/{PERSON}/merge", other_code="КИ-2", sure="1")
    assert answer.status_code == 404
    assert "There is no such code here" in answer.text


@pytest.mark.parametrize(
    ("language", "word"), [("en", "erase"), ("uk", "СТЕРТИ"), ("de", "LÖSCHEN")]
)
async def test_erasing_takes_a_typed_word(browser: "Browser", language: str, word: str) -> None:
    await browser.sign_in(Role.LEAD)
    wrong = await browser.post(f"/people/{PERSON}/erase", language, key=KEY, word="yes")
    assert wrong.status_code == 422
    assert browser.desk.region.posts == []
    answer = await browser.post(f"/people/{PERSON}/erase", language, key=KEY, word=word)
    assert answer.headers["location"] == "/needs?said=erased"
    ((path, _, headers),) = browser.desk.region.posts
    assert path == f"/v1/persons/{PERSON}:erase"
    assert headers["idempotency-key"] == KEY


@pytest.mark.parametrize("step", ["unmerge", "erase"])
async def test_only_a_lead_parts_or_erases(browser: "Browser", step: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post(f"/people/{PERSON}/{step}", word="ERASE", other_code="x", sure="1")
    assert answer.status_code == 403
    assert browser.desk.region.posts == []


async def test_somebody_leaves_their_household(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert f'action="/people/{PERSON}/leave"' in (await browser.get(f"/people/{PERSON}")).text
    home = str(number("household"))
    unsure = await browser.post(f"/people/{PERSON}/leave", household_id=home)
    assert unsure.status_code == 422
    assert browser.desk.region.posts == []
    answer = await browser.post(f"/people/{PERSON}/leave", key=KEY, household_id=home, sure="1")
    assert answer.headers["location"] == f"/people/{PERSON}?said=left_household"
    ((path, body, headers),) = browser.desk.region.posts
    assert path == f"/v1/households/{home}:leave"
    assert body == {"person_ids": [str(PERSON)]}
    assert headers["idempotency-key"] == KEY


async def test_somebody_leaves_each_household_that_they_belong_to_by_any_record(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    homes = [str(number(each)) for each in ("household", "of another record")]
    found = KNOWN.model_dump(mode="json")

    async def shown(own: str | None, ids: list[str]) -> str:
        known = found | {"household_id": own, "household_ids": ids}
        browser.desk.region.answers[f"GET /v1/persons/{PERSON}"] = (200, known)
        return (await browser.get(f"/people/{PERSON}")).text

    def forms(page: str) -> list[str]:
        assert page.count(f'action="/people/{PERSON}/leave"') == page.count('name="household_id"')
        return re.findall(r'name="household_id" value="([^"]+)"', page)

    other = "by another record"
    page = await shown(None, homes[1:])
    assert forms(page) == homes[1:]
    assert other in page
    page = await shown(homes[0], homes)
    assert forms(page) == homes
    assert page.count(other) == 1
    assert forms(await shown(None, [])) == []
    # The one that was to be left is opened again.
    await shown(homes[0], homes)
    page = (await browser.post(f"/people/{PERSON}/leave", household_id=homes[1])).text
    opened = [" open>" in each for each in re.findall(r"<details[^>]*><summary>Leave", page)]
    assert opened == [False, True]


async def test_a_proposal_tells_of_a_household_that_would_be_theirs_too(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    warned = "once they are merged, the person belongs to it"
    assert warned not in (await browser.get("/merges")).text
    rows = [MERGES[0] | {"households_differ": True}, MERGES[1]]
    browser.desk.region.answers["GET /v1/merges"] = (200, {"merges": rows, "next": None})
    for path in ("/merges", f"/people/{PERSON}"):
        assert (await browser.get(path)).text.count(warned) == 1


@pytest.mark.parametrize("path", ["/merges", f"/people/{PERSON}"])
async def test_a_lead_confirms_what_others_proposed(browser: "Browser", path: str) -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get(path)).text
    other, twin = number("merge other"), number("merge twin")
    assert f'action="/merges/{other}/confirm"' in page
    assert f'action="/merges/{twin}/withdraw"' in page
    answer = await browser.post(f"/merges/{other}/confirm", key=KEY)
    assert answer.headers["location"] == "/merges?said=merged"
    ((called, _, headers),) = browser.desk.region.posts
    assert called == f"/v1/merges/{other}:confirm"
    assert headers["idempotency-key"] == KEY


async def test_who_proposed_a_merge_is_not_offered_to_confirm_it(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/merges")).text
    twin = number("merge twin")
    assert f"/merges/{twin}/confirm" not in page
    assert f"/merges/{twin}/withdraw" in page
    assert "Somebody else, a lead" in page


async def test_a_refused_confirmation_says_why(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    merge_id = number("merge other")
    browser.desk.region.answers[f"POST /v1/merges/{merge_id}:confirm"] = problem(
        409, "second-person-needed"
    )
    answer = await browser.post(f"/merges/{merge_id}/confirm")
    assert answer.status_code == 409
    assert "A second person is needed" in answer.text
    assert (await browser.post(f"/merges/{merge_id}/forget")).status_code == 404


async def test_a_merge_is_taken_back(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    behind = number("behind")
    assert f'action="/people/{behind}/unmerge"' in (await browser.get(f"/people/{PERSON}")).text
    answer = await browser.post(f"/people/{behind}/unmerge", key=KEY, into=str(PERSON))
    assert answer.headers["location"] == f"/people/{behind}?said=unmerged"
    ((path, _, headers),) = browser.desk.region.posts
    assert path == f"/v1/persons/{behind}:unmerge"
    assert headers["idempotency-key"] == KEY
    browser.desk.region.answers[f"POST /v1/persons/{behind}:unmerge"] = problem(409, "conflict")
    again = await browser.post(f"/people/{behind}/unmerge", into=str(PERSON))
    assert again.status_code == 409
    assert "Something changed in the meantime" in again.text


async def test_what_keeps_a_contact_from_being_used_is_said(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"GET /v1/persons/{PERSON}"
    known = KNOWN.model_dump(mode="json") | {"consents": {}}
    contact = {
        "channel": "email", "address": "a@example.org", "hours_from": "10:00", "hours_to": "18:00",
        "wording": "neutral", "safe": False, "marks": ["channel", "wording"],
    }  # fmt: skip
    browser.desk.region.answers[path] = (200, known | {"details": {"contact": contact}})
    said = (await browser.get(f"/people/{PERSON}")).text.partition("No safe contact")[2]
    said = said.partition("</section>")[0]
    assert "Not ticked yet: These hours are safe · May be contacted" in said
    assert "This channel is safe" not in said
    browser.desk.region.answers[path] = (200, known | {"details": {}})
    assert "No number or address was entered" in (await browser.get(f"/people/{PERSON}")).text
    browser.desk.region.answers[path] = (200, KNOWN.model_dump(mode="json"))
    assert "Not ticked yet" not in (await browser.get(f"/people/{PERSON}")).text


async def test_an_address_that_is_refused_is_marked_where_it_is_seen(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers[f"PUT /v1/persons/{PERSON}"] = problem(
        422, "invalid", errors=[{"field": "body.contact.address", "rule": "not_a_phone_number"}]
    )
    answer = await browser.post(f"/people/{PERSON}", version="3", client_code="КИ-1")
    before, _, after = answer.text.partition('id="f-contact_address"')
    assert re.findall(r"<details[^>]*>", before)[-1].endswith(" open>")
    assert "With + and the country" in after.partition("</div>")[0]


@pytest.mark.parametrize("path", ["/register", f"/people/{PERSON}"])
async def test_hours_that_were_cleared_stay_so(browser: "Browser", path: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    typed = {
        "version": "3", "client_code": "КИ-1", "contact_way": "change", "place_area": "UA80",
        "contact_channel": "email", "contact_address": "a@example.org", "need_food_parcel": "1",
        "hours_from": "", "hours_to": "", "safe_hours": "1",
    }  # fmt: skip
    answer = await browser.post(path, **typed)
    assert answer.status_code == 422
    before, _, after = main_of(answer.text).partition('id="f-hours_from"')
    assert re.findall(r"<details[^>]*>", before)[-1].endswith(" open>")
    assert "untick “These hours are safe”" in after.partition("</div>")[0]
    for name in ("hours_from", "hours_to"):
        assert re.search(rf'id="f-{name}"[^>]* value=""', answer.text)


async def test_no_hours_are_proposed_to_somebody_who_named_none(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    contact = {"channel": "email", "address": "a@example.org", "marks": ["channel"]}
    browser.desk.region.answers[f"GET /v1/persons/{PERSON}"] = (
        200,
        KNOWN.model_dump(mode="json") | {"details": {"contact": contact}},
    )
    page = (await browser.get(f"/people/{PERSON}")).text
    assert re.search(r'id="f-hours_from"[^>]* value=""', page)
    assert re.search(r'id="f-hours_to"[^>]* value=""', page)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("finds_them_already", "This code finds this person already"),
        ("of_somebody_else", "This code is somebody else’s"),
    ],
)
async def test_a_code_that_another_record_has_keeps_what_was_typed(
    browser: "Browser", rule: str, said: str
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert rule in {people.FINDS_THEM, people.OF_SOMEBODY_ELSE}
    browser.desk.region.answers[f"PUT /v1/persons/{PERSON}"] = problem(
        422, "invalid-request", errors=[{"field": "body.client_code", "rule": rule}]
    )
    typed = {"client_code": "КИ-0499", "chosen_name": "Саша", "note": "by the east gate"}
    answer = await browser.post(f"/people/{PERSON}", version="3", consent_data="1", **typed)
    assert answer.status_code == 422
    form = main_of(answer.text).partition('name="version" value="3"')[2].partition("</form>")[0]
    for each in typed.values():
        assert each in form
    assert re.search(r'name="consent_data"[^>]* checked', form)
    # A consent that was taken back stays so.
    assert not re.search(r'name="consent_contact"[^>]* checked', form)
    _, _, code = form.partition('id="f-client_code"')
    assert said in code.partition("</div>")[0]


@pytest.mark.parametrize("path", ["/register", f"/people/{PERSON}"])
async def test_the_channels_of_this_region_are_listed_first(browser: "Browser", path: str) -> None:
    await browser.sign_in(Role.CASEWORKER)

    async def listed() -> list[str]:
        page = (await browser.get(path)).text.partition('name="contact_channel"')[2]
        return re.findall(r"<option[^>]*>([^<]*)<", page.partition("</select>")[0])

    not_here = "not set up here: told in person"
    assert await listed() == ["E-mail", f"SMS ({not_here})"]
    browser.desk.region.answers["GET /v1/channels"] = (200, {"channels": ["sms"]})
    assert await listed() == ["SMS", f"E-mail ({not_here})"]
    browser.desk.region.down.add("notification")
    assert await listed() == ["E-mail", "SMS"]


async def test_of_somebodys_needs_those_of_their_household_are_marked(browser: "Browser") -> None:
    rows = [need("own", "food_parcel", "ready"),
            need("shared", "hygiene_kit", "ready", for_whom="household")]  # fmt: skip
    browser.desk.region.answers["GET /v1/needs"] = (200, {"needs": rows, "next": None})
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/people/{PERSON}")).text
    marked = [">household</span>" in row for row in page.split('<li><a class="go')[1:]]
    assert marked == [False, True]
