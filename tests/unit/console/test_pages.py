"""Every page: for every role, in every language, small, and with services away."""

import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.roles import ALLOWED, PAGES, Act, may, menu
from aidmesh_contracts.days import is_possible
from support.made_up.basics import SHELTER, WAREHOUSE, number, problem
from support.made_up.money import PURCHASE_STATES
from support.made_up.needs import NEEDS, need, whole
from support.made_up.results import TOGETHER, results
from support.made_up.supply import SITES

if TYPE_CHECKING:
    from support.desk import FakeDesk

    from .conftest import Browser

PATHS = (
    "/",
    "/register",
    "/import",
    "/needs",
    "/merges",
    "/referrals",
    "/links",
    f"/links/of/{number('person')}",
    f"/referrals/of/{number('parcel')}",
    "/needs?state=waitlisted&band=urgent&attention=1",
    *(f"/needs/{row['need_id']}" for row in NEEDS),
    f"/needs/{number('parcel')}/reasons",
    f"/people/{number('person')}",
    f"/people/{number('person')}/request",
    "/hand-over",
    f"/hand-over?said=handed_over&undo={number('x')}",
    f"/hand-over?site={WAREHOUSE}",
    "/stock",
    f"/stock?site={WAREHOUSE}&item=food_parcel",
    "/stock/sites",
    "/stock/slots",
    "/kinds",
    "/kinds/food_parcel",
    "/kinds/shelter_outside",
    "/new-kind",
    "/stock/items/food_parcel",
    f"/stock/lots/{number('lot a')}",
    "/beds",
    f"/beds?site={SHELTER}",
    "/money",
    "/money/grants",
    "/money/regions",
    f"/money/grants/{number('qn')}",
    "/money/purchases",
    "/money/purchases?state=ordered",
    *(f"/money/purchases/{number(f'purchase {state}')}" for state in PURCHASE_STATES),
    "/money/questions",
    "/money/unproven",
    "/money/bills",
    f"/money/bills?need={number('hotel need')}",
    "/alerts",
    "/regions",
    "/shipments",
    "/shipments?region=lviv&item=food_parcel",
    *(f"/shipments/{number(f'shipment {name}')}" for name in ("preparing", "gone", "coming")),
    f"/shipments/{number('shipment gone')}/manifest",
    "/assets",
    f"/assets?site={SHELTER}&grant={number('qn')}",
    *(f"/results?by={by}" for by in ("kind", "area", "month", "grant")),
)
BYTES_MAX = 50 * 1024
FOREIGN = re.compile(r"<script>|<style|style=|\son[a-z]+=|https?://(?!www\.w3\.org)")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_in_every_language(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.LEAD)
    for path in PATHS:
        answer = await browser.get(path, language)
        assert answer.status_code == 200, path
        assert f'<html lang="{language}">' in answer.text
        assert len(answer.content) < BYTES_MAX, path
        assert not FOREIGN.search(answer.text), path
        assert answer.text.count("<h1") == 1, path


@pytest.mark.parametrize(
    ("language", "stays"),
    [("en", "need not come"), ("de", "muss nicht kommen"), ("uk", "приходити не треба")],
)
async def test_whoever_need_not_come_is_told_so_in_person(
    browser: "Browser", desk: "FakeDesk", language: str, stays: str
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"/needs/{number('parcel')}"
    for to_come, shown in ((False, True), (True, False), (None, False)):
        row = need("aid", "financial_aid", "ready", message="no_safe_contact", to_come=to_come)
        desk.region.answers["GET /v1/needs"] = 200, {"needs": [row], "next": None}
        for page in ("/", "/needs?state=ready"):
            assert (stays in (await browser.get(page, language)).text) == shown, page
        desk.region.answers[f"GET /v1{path}"] = 200, whole(row)
        assert (stays in (await browser.get(path, language)).text) == shown


async def test_every_field_has_a_label(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path in PATHS:
        text = (await browser.get(path)).text
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', text))
        for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", text):
            if 'type="hidden"' in tag or "aria-label=" in tag:
                continue
            found = re.search(r'\sid="([^"]+)"', tag)
            inside = f'<label class="tick">{tag}' in text
            assert inside or (found and found[1] in labelled), f"{path}: {tag}"


async def test_no_id_is_twice_on_a_page(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path in PATHS:
        ids = re.findall(r'\sid="([^"]+)"', (await browser.get(path)).text)
        assert [each for each, times in Counter(ids).items() if times > 1] == [], path


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_sees_its_pages_and_no_others(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    seen = {page.name for page in menu([role])}
    for page in PAGES:
        answer = await browser.get(page.path)
        allowed = page.act is None or may([role], page.act)
        assert (page.name in seen) == allowed
        assert answer.status_code == (200 if allowed else 403), page.path
        if answer.status_code == 403:
            assert "Your role does not allow this" in answer.text


def test_every_act_has_somebody() -> None:
    assert all(ALLOWED[act] for act in ALLOWED)
    acts = (Act.REGISTER, Act.SEE_NEEDS, Act.DECIDE_NEEDS, Act.SEE_BEDS, Act.CHANGE_STOCK)
    assert all(not may([Role.ONCALL], act) for act in acts)


@pytest.mark.parametrize(
    "service", ["intake", "inventory", "payments", "notification", "reporting"]
)
async def test_one_service_away_takes_no_page_with_it(browser: "Browser", service: str) -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.down.add(service)
    for path in (
        "/", "/needs", "/hand-over", "/stock", "/beds", "/money", "/results", "/register",
        "/money/grants", "/money/purchases", "/money/questions", "/assets", "/alerts",
        "/shipments", "/regions", "/kinds", "/new-kind", "/stock/slots",
    ):  # fmt: skip
        answer = await browser.get(path)
        assert answer.status_code == 200, path
    home = await browser.get("/")
    assert "not ready" in home.text


async def test_a_need_that_is_not_there(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.get(f"/needs/{number('nothing')}")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert (await browser.get("/needs/not-an-id")).status_code == 404


async def test_an_answer_that_is_not_understood_is_no_answer(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["GET /v1/needs"] = (200, {"needs": [{"need_id": 7}]})
    answer = await browser.get("/needs")
    assert answer.status_code == 200
    assert "No answer from: Intake" in answer.text


async def test_lists_show_what_is_open_unless_asked(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    for path, service in (("/needs", "/v1/needs"), ("/money/purchases", "/v1/purchases")):
        for asked, over in (("", False), ("?state=all", True)):
            browser.desk.region.gets.clear()
            await browser.get(path + asked)
            (query,) = [query for called, query in browser.desk.region.gets if called == service]
            states = query.get_list("state")
            ended = {"fulfilled", "paid"}
            assert (not states or bool(ended & set(states))) == over, path


async def test_after_registering_the_needs_of_the_request_are_shown(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.gets.clear()
    await browser.get(f"/needs?said=registered&request={number('request')}")
    (query,) = [query for called, query in browser.desk.region.gets if called == "/v1/needs"]
    assert query["request_id"] == str(number("request"))
    assert "state" not in query


async def test_an_area_is_chosen_where_there_are_several(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    text = (await browser.get("/register")).text
    field = text.partition('id="f-place_area"')[2].partition("</select>")[0]
    assert field.count('<option value="">') == 1
    assert " selected" not in field
    browser.desk.region.answers["GET /v1/sites"] = (200, {"rows": SITES[:1]})
    text = (await browser.get("/register")).text
    field = text.partition('id="f-place_area"')[2].partition("</select>")[0]
    assert field.partition("<option")[2].startswith(' value="UA80"')


async def test_programs_are_closed_but_for_what_is_asked_most_or_ticked(
    browser: "Browser",
) -> None:
    def opened(text: str) -> list[str]:
        return re.findall(r'<details class="card programme" open><summary><span>([^<]+)', text)

    await browser.sign_in(Role.CASEWORKER)
    assert opened((await browser.get("/register")).text) == ["Food"]
    ticked = {"need_shelter_night": "1", "need_hygiene_kit": "1"}
    answer = await browser.post("/register", **ticked)
    assert answer.status_code == 422
    assert opened(answer.text) == ["Shelter", "Hygiene"]


async def test_lists_show_a_band_and_dates_not_reasons(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    text = (await browser.get("/needs")).text
    assert "emergency" in text
    assert "КИ-0417" not in text
    assert "Саша" not in text


async def test_small_numbers_only_for_who_needs_them(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.get("/results?from=2024-02-10&to=2024-03-05&by=area")
    assert answer.status_code == 200
    public = [query for path, query in browser.desk.region.gets if path == "/v1/results/public"]
    assert public[-1]["from"] == "2024-02-01"
    assert public[-1]["to"] == "2024-03-31"
    assert not any(path == "/v1/results" for path, _ in browser.desk.region.gets)
    assert "Sensitive help, together" in answer.text
    assert "Small numbers are left out" in answer.text
    assert 'value="grant"' not in answer.text
    # Days that nobody can mean are as good as none.
    assert (await browser.get("/results?from=0001-01-01&to=9999-12-31")).status_code == 200
    asked = [query for path, query in browser.desk.region.gets if path == "/v1/results/public"]
    assert is_possible(date.fromisoformat(asked[-1]["from"]))
    assert is_possible(date.fromisoformat(asked[-1]["to"]))
    await browser.get("/results?by=grant")
    public = [query for path, query in browser.desk.region.gets if path == "/v1/results/public"]
    assert public[-1]["by"] == "kind"


async def test_sensitive_help_is_one_line_for_who_may_not_see_more(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/results"] = (200, results("kind", TOGETHER))
    await browser.sign_in(Role.FINANCE)
    text = (await browser.get("/results")).text
    assert "Sensitive help, together" in text
    assert "only together, so that nobody can be recognized" in text
    assert 'value="grant"' in text
    browser.desk.region.answers.clear()
    browser.http.cookies.clear()
    await browser.sign_in(Role.LEAD)
    assert "Sensitive help" not in (await browser.get("/results")).text


@pytest.mark.parametrize("role", [Role.CASEWORKER, Role.LOGISTICIAN, Role.LEAD])
async def test_home_does_not_say_what_sensitive_help_waits(browser: "Browser", role: Role) -> None:
    rows = [
        need("hormones", "hormone_therapy", "ready", message="no_safe_contact"),
        need("food", "food_parcel", "ready", message="no_safe_contact"),
    ]
    totals = [{"item": each, "free": 2} for each in ("hygiene_kit", "hiv_self_test")]
    answers = browser.desk.region.answers
    answers["GET /v1/needs"] = 200, {"needs": rows, "next": None}
    answers["GET /v1/stock/totals"] = 200, {"rows": totals, "next": None}
    await browser.sign_in(role)
    page = (await browser.get("/")).text
    seen = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert "ormone" not in page
    assert "HIV self-test" not in seen
    assert "HIV self-test" in page
    assert ("Hygiene kit" in seen) == may([role], Act.SEE_STOCK)
    assert ("Help; open it" in seen) == may([role], Act.DECIDE_NEEDS)
    assert ("Food parcel" in seen) == may([role], Act.DECIDE_NEEDS)
    # Where nobody says which help is sensitive, all of it counts as such.
    browser.desk.region.down.add("intake")
    assert "Hygiene kit" not in re.sub(
        r"<details>.*?</details>", "", (await browser.get("/")).text, flags=re.DOTALL
    )


async def test_unexpected_errors_are_a_page_with_a_number(
    browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in(Role.LEAD)

    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("КИ-0417")

    monkeypatch.setattr("aidmesh_console.pages.stock._page", broken)
    with capture_logs() as lines:
        answer = await browser.get("/stock")
    assert any(line["event"] == "http.failed" for line in lines)
    assert answer.status_code == 500
    assert "A fault on our side" in answer.text
    assert "КИ-0417" not in answer.text


async def test_a_start_is_confirmed_on_the_page_of_its_need(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    prep, pep = number("prep"), number("pep")
    page = (await browser.get(f"/needs/{prep}", "en")).text
    assert f'action="/needs/{prep}/serve"' in page
    assert "Start confirmed" in page
    assert "not started" in page
    assert "Start confirmed" not in (await browser.get(f"/needs/{pep}", "en")).text
    listed = (await browser.get("/needs", "en")).text
    for text in (listed, (await browser.get(f"/needs/{pep}", "en")).text):
        assert re.search(r"\b\d?\d \w+, (08|09):30", text)  # where hours count, until which
    assert listed.count("start to be confirmed") == listed.count("ends soon") == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("uk", "попри: ліміт — велике домогосподарство"),
        ("en", "despite: limit — large household"),
        ("de", "trotz: Limit – großer Haushalt"),
    ],
)
async def test_history_says_why_a_limit_was_overridden_and_by_whom(
    browser: "Browser", language: str, words: str
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/needs/{number('parcel')}", language)).text
    assert words in page
    assert number("colleague").hex[:8].upper() in page


@pytest.mark.parametrize("language", ["uk", "en", "de"])
async def test_answers_are_shown_only_on_demand(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    say, asked = Speaker(language), f"/v1/requests/{number('request')}"
    path = f"/needs/{number('parcel')}"
    page = (await browser.get(path, language)).text
    assert f'href="{path}/reasons#why"' in page
    assert say("answer.violence_at_home") not in page
    assert asked not in [each for each, _ in browser.desk.region.gets]
    page = (await browser.get(f"{path}/reasons", language)).text
    assert say("answer.violence_at_home") in page
    assert "Дзвонити &lt;лише&gt; вранці" in page
    assert [int(each) for each in re.findall(r'<dd class="num">(?:<b>)?(\d+)<', page)] == [
        20, 50, 25, 0, 95,
    ]  # fmt: skip
    assert say("person.audited") in page


async def test_answers_are_not_for_those_who_hand_out_goods(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    path = f"/needs/{number('parcel')}"
    assert "/reasons" not in (await browser.get(path)).text
    assert (await browser.get(f"{path}/reasons")).status_code == 403


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            (200, {"reasons": "erased", "needs": [], "answers": [], "answer_points": None,
                   "note": None}),
            "reasons.erased",
        ),
        (problem(423, "locked"), "problem.locked"),
    ],
)  # fmt: skip
async def test_answers_that_cannot_be_read_say_why(
    browser: "Browser", answer: tuple[int, object], words: str
) -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers[f"GET /v1/requests/{number('request')}"] = answer
    page = await browser.get(f"/needs/{number('parcel')}/reasons")
    assert page.status_code == 200
    assert Speaker("en")(words) in page.text
