"""What is ready is found, handed over one by one or many at once, and undone."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import SMALL, WAREHOUSE, iso, number, problem
from support.made_up.supply import reservation

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
RESERVATION = number("reservation parcel")
NEED = number("parcel")


@pytest.mark.parametrize("wanted", ["КИ-0417", str(NEED), NEED.hex[:8].upper(), NEED.hex[:8]])
async def test_what_is_ready_is_found_by_code_or_number(browser: "Browser", wanted: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    found = await browser.post("/hand-over/find", wanted=wanted)
    answer = await browser.get(found.headers["location"])
    assert f"/hand-over/{RESERVATION}/handover" in answer.text
    assert all(wanted not in path for path, _ in browser.desk.region.gets)


async def test_things_with_serial_numbers_ask_for_them_and_the_center(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get("/hand-over")).text
    laptops = number("reservation laptops")
    form = page.partition(f'action="/hand-over/{laptops}/handover"')[2].partition("</form>")[0]
    assert 'name="serials"' in form
    assert 'name="to_site_id" required' in form
    assert "at most 2" in form
    assert f'<option value="{SMALL}" selected>' in form  # where they were asked for
    parcel = page.partition(f'action="/hand-over/{RESERVATION}/handover"')[2]
    assert "serials" not in parcel.partition("</form>")[0]
    browser.desk.region.answers[f"POST /v1/reservations/{laptops}:issue"] = problem(
        422, "serials-do-not-fit"
    )
    for center, serials, status, said in (
        ("", "", 422, "Fill this in"),
        (str(WAREHOUSE), "x" * 65, 422, "too long"),
        (str(WAREHOUSE), "SN-1\nSN-1", 409, "do not fit"),
    ):
        answer = await browser.post(
            f"/hand-over/{laptops}/handover", numbered="1", to_site_id=center, serials=serials
        )
        assert answer.status_code == status
        assert said in answer.text
        assert f'action="/hand-over/{laptops}/handover"' in answer.text
        assert f">{serials}</textarea>" in answer.text


async def test_a_number_is_looked_up_where_all_are(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": []})
    found = await browser.post("/hand-over/find", wanted=NEED.hex[:8])
    answer = await browser.get(found.headers["location"])
    assert f"/hand-over/{RESERVATION}/handover" in answer.text
    looked_up = [body for path, body, _ in browser.desk.region.posts if path.endswith(":lookup")]
    assert looked_up == [{"need_number": NEED.hex[:8]}] * 2


async def test_until_when_something_is_kept_is_shown_as_it_was_told(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    day_ends, noon = "2024-05-06T20:59:59.999999+00:00", "2024-05-07T09:00:00+00:00"
    seat = {"resource": "slot", "code": "counseling", "starts_at": noon, "minutes": 50}
    bed = {"resource": "bed", "code": "shelter", "from_on": "2024-05-06", "to_on": None}
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": [
        reservation("a", "handover", collect_by=day_ends),
        reservation("b", "handover", collect_by=noon),
        reservation("c", "check_in", collect_by=noon, booking=bed),
        reservation("d", "attendance", collect_by=day_ends, booking=seat)]})  # fmt: skip
    page = (await browser.get("/hand-over")).text
    assert re.findall(r"to (?:collect|arrive) by [^<]+", page) == [
        "to collect by 6 May 2024",
        "to collect by 7 May 2024, 12:00",
        "to arrive by 7 May 2024, 12:00",
    ]


async def test_an_unknown_code_finds_nothing(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/persons:find"] = problem(404, "not-found")
    answer = await browser.post("/hand-over/find", wanted="КИ-0000")
    assert "Nothing is ready under this code or number" in answer.text
    answer = await browser.post("/register/find", client_code="КИ-0000", need_food_parcel="1")
    assert "This code is new" in answer.text
    assert re.search(r'id="need_food_parcel" checked', answer.text)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("КИ-0417", "This is no number of a need. Caseworkers find people by their codes."),
        ("0417", "This is no number of a need."),
        ("ffffffff", "Nothing is ready under this number."),
    ],
)
async def test_who_may_not_see_persons_finds_by_number_and_is_told_so(
    browser: "Browser", wanted: str, said: str
) -> None:
    region = browser.desk.region
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get("/hand-over")).text
    assert ">Number of the need <" in page
    assert "client code" not in page
    # As intake answers who asks for somebody and may not.
    region.answers["POST /v1/persons:find"] = problem(403, "forbidden")
    answer = await browser.post("/hand-over/find", wanted=wanted)
    assert said in answer.text
    assert f'value="{wanted}"' in answer.text
    assert "/v1/persons:find" not in [path for path, *_ in region.posts]
    found = await browser.post("/hand-over/find", wanted=str(NEED))
    answer = await browser.get(found.headers["location"])
    assert f"/hand-over/{RESERVATION}/handover" in answer.text


async def test_undo_is_offered_after_handing_over(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post(f"/hand-over/{RESERVATION}/handover", key=KEY)
    page = await browser.get(answer.headers["location"])
    assert f'action="/hand-over/{RESERVATION}/undo"' in page.text


async def test_many_are_handed_over_in_one_call(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    chosen = [str(RESERVATION), str(number("reservation other"))]
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [
        {"row": 0, "status": "done"}, {"row": 1, "status": "skipped"}]})  # fmt: skip
    answer = await browser.http.post(
        "/hand-over/many",
        data={"proof": browser.proof, "key": KEY, "reservation": [*chosen, chosen[0]],
              "served_on": "2024-04-02", "site": str(WAREHOUSE)},
    )  # fmt: skip
    assert answer.headers["location"] == f"/hand-over?said=handed_over_many&site={WAREHOUSE}"
    ((path, body, headers),) = browser.desk.region.posts
    assert path == "/v1/handovers:bulk"
    assert headers["idempotency-key"] == KEY
    assert body["rows"] == [
        {"row_id": f"{KEY}/{each}", "reservation_id": each, "served_on": "2024-04-02"}
        for each in chosen
    ]


async def test_goods_are_ticked_at_a_chosen_site_only(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    two = [reservation(name, "handover") for name in ("a", "b")]
    hormones = reservation("c", "handover", allocations=[
        {"lot_id": str(number("lot c")), "item": "hormone_pack", "quantity": 1}])  # fmt: skip
    visit = reservation("visit", "attendance")
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": [*two, hormones, visit]})
    page = await browser.get(f"/hand-over?site={WAREHOUSE}")
    ticked = re.findall(r'form="many" name="reservation" value="([^"]+)"', page.text)
    assert ticked == [each["reservation_id"] for each in two]
    # A prescription is looked at one by one.
    assert page.text.count('name="prescription_seen"') == 1
    assert 'form="many"' not in (await browser.get("/hand-over")).text


async def test_until_when_goods_may_be_given_is_shown_before_they_are(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)

    def parcels(name: str, *days: int) -> dict[str, object]:
        return reservation(name, "handover", allocations=[
            {"lot_id": str(number(f"lot {name} {each}")), "item": "food_parcel", "quantity": 1,
             "expiry": iso(each)} for each in days])  # fmt: skip

    rows = [parcels("old", 90, -1), parcels("early", 90, 1), parcels("good", 90)]
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": rows})
    page = (await browser.get(f"/hand-over?site={WAREHOUSE}")).text
    old, early, good = [each for each in page.split("<li ") if "best before" in each
                        or "out of date" in each]  # fmt: skip
    assert 'badge bad">' in old
    assert "do not give it out" in old
    assert 'badge warn">' in early  # before the last day on which they may come
    assert "badge" not in good
    # What is out of date is looked at one by one.
    ticked = re.findall(r'form="many" name="reservation" value="([^"]+)"', page)
    assert ticked == [each["reservation_id"] for each in rows[1:]]


async def test_what_of_many_was_refused_is_told(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    none = await browser.post("/hand-over/many", site=str(WAREHOUSE))
    assert none.status_code == 422
    row = {"row": 0, "status": "rejected", "problem": "already-issued"}
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [row]})
    answer = await browser.post("/hand-over/many", reservation=str(RESERVATION))
    assert answer.status_code == 409
    assert "1 was not accepted. It was handed out already" in answer.text


async def test_what_was_refused_of_many_is_sent_under_a_new_key(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    row = {"row": 0, "status": "rejected", "problem": "already-issued"}
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [row]})
    answer = await browser.post("/hand-over/many", reservation=str(RESERVATION), key=KEY)
    assert str(RESERVATION) in answer.text
    assert KEY not in answer.text  # neither here nor where another language is asked for


async def test_what_was_handed_over_but_is_over_is_entered_as_aid_given(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"POST /v1/reservations/{RESERVATION}:issue"
    browser.desk.region.answers[path] = problem(409, "reservation-over")
    answer = await browser.post(f"/hand-over/{RESERVATION}/handover")
    assert answer.status_code == 409
    assert "entered as aid already given" in answer.text
    assert '<a href="/register?given=1">' in answer.text
    assert f'<a href="/needs/{NEED}">To the need</a>' in answer.text
    row = {"row": 0, "status": "rejected", "problem": "reservation-over"}
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [row]})
    answer = await browser.post("/hand-over/many", reservation=str(RESERVATION))
    assert '<a href="/register?given=1">' in answer.text
    form = (await browser.get("/register?given=1")).text
    assert 'name="given" value="1" id="given" checked' in form
    assert 'id="given" checked' not in (await browser.get("/register")).text


async def test_who_may_not_register_is_led_to_the_need_alone(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    path = f"POST /v1/reservations/{RESERVATION}:issue"
    browser.desk.region.answers[path] = problem(409, "reservation-over")
    answer = await browser.post(f"/hand-over/{RESERVATION}/handover")
    assert "entered as aid already given" in answer.text
    assert "/register?given=1" not in answer.text
    assert f'<a href="/needs/{NEED}">' in answer.text
