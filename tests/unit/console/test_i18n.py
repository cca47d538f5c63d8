"""Every text in every language, and the same blanks in each."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.resources import files
from string import Formatter
from types import ModuleType
from typing import get_args

import pytest
from babel import Locale

import aidmesh_chassis.problems
import aidmesh_intake.api.context
import aidmesh_inventory.api.problems
import aidmesh_notification.problems
import aidmesh_payments.problems
import aidmesh_reporting.problems
from aidmesh_console import i18n
from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.i18n import LANGUAGES, Speaker, choose, texts
from aidmesh_console.pages import common, registering
from aidmesh_console.pages.needs import BANDS, STATES
from aidmesh_console.roles import PAGES
from aidmesh_contracts.days import FIRST_DAY, LAST_DAY, OUT_OF_RANGE
from aidmesh_intake.domain import commands, facts, parting, referral, saga
from aidmesh_intake.domain.need import Look, Settlement, Wait
from aidmesh_intake.domain.triage import ANSWERS, Band
from support.made_up.basics import kinds

_USED = re.compile(r"""say\(\s*["']([a-z_.-]+[a-z_])["']\s*[,)]""")


def _forms(text: str | Mapping[str, str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def _blanks(text: str | Mapping[str, str]) -> set[str]:
    return {
        name for form in _forms(text) for _, name, _, _ in Formatter().parse(form) if name
    }  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_everything(language: str) -> None:
    ours, english = texts(language), texts("en")
    assert set(ours) == set(english)
    for key, text in english.items():
        assert _blanks(ours[key]) == _blanks(text), key
        assert isinstance(ours[key], str) == isinstance(text, str), key
        assert all(form.strip() for form in _forms(ours[key])), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_said_which_days_are_possible(language: str) -> None:
    for key in ("fault.day_range", f"rule.{OUT_OF_RANGE}"):
        years = re.findall(r"[0-9]+", Speaker(language)(key))
        assert years == [str(FIRST_DAY.year), str(LAST_DAY.year)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_counts_has_every_plural_form(language: str) -> None:
    needed = {Locale.parse(language).plural_form(number) for number in range(200)}
    for key, text in texts(language).items():
        if not isinstance(text, str):
            assert needed <= set(text), key


def test_ukrainian_counts_as_ukrainian_does() -> None:
    say = Speaker("uk")
    assert [say("people", number) for number in (1, 2, 5, 11, 21, 22, 25)] == [
        "людина", "люди" + "ни", "людей", "людей", "людина", "людини", "людей",
    ]  # fmt: skip


def test_templates_say_nothing_that_is_not_there() -> None:
    folder = files("aidmesh_console") / "templates"
    used = {
        key for path in folder.iterdir() for key in _USED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(used) > 100
    assert used - set(texts("en")) == set()


def test_every_problem_of_every_service_has_words_and_nothing_else() -> None:
    catalogues = (
        aidmesh_chassis.problems.PROBLEMS,
        aidmesh_intake.api.context.PROBLEMS,
        aidmesh_inventory.api.problems.PROBLEMS,
        aidmesh_notification.problems.PROBLEMS,
        aidmesh_payments.problems.PROBLEMS,
        aidmesh_reporting.problems.PROBLEMS,
    )
    slugs = {kind.slug for catalogue in catalogues for kind in catalogue}
    spoken = {key.removeprefix("problem.") for key in texts("en") if key.startswith("problem.")}
    assert slugs - spoken == set()
    assert spoken - slugs == {"away", "not-asked", "stale-form", "unknown"}, "the desk's own"


def test_codes_of_the_field_have_words() -> None:
    reasons = (
        common.CANCEL_REASONS
        + common.DECLINE_REASONS
        + common.UNDO_REASONS
        + common.ADJUST_REASONS
        + common.OVERRIDE_REASONS
        + common.SETTLE_REASONS
        + common.CLOSE_REASONS
        + common.REOPEN_REASONS
    )
    wanted = {f"reason.{each}" for each in reasons}
    wanted |= {f"state.{each}" for each in STATES} | {f"band.{each}" for each in BANDS}
    wanted |= {f"page.{page.name}" for page in PAGES} | {f"area.{each}" for each in common.AREAS}
    wanted |= {f"answer.{each}" for each in registering.ANSWERS}
    wanted |= {f"consent.{each}" for each in registering.CONSENTS}
    wanted |= {f"wait.{each.value}" for each in Wait}
    for kind in kinds():
        wanted.add(f"programme.{kind['programme']}")
        capacity = kind.get("capacity")
        if isinstance(capacity, dict):
            wanted.add(f"place.{capacity['code']}")
    assert wanted - set(texts("en")) == set()


def test_every_step_of_a_need_has_words() -> None:
    steps = {
        each for module in (commands, facts, parting, referral, saga) for each in _notes(module)
    }
    assert {"told_in_person", "referral_offered", "parted", "reversed"} <= steps
    steps |= {f"settled_{how}" for how in (*get_args(Settlement), *get_args(Look))}
    assert {f"step.{each}" for each in steps | set(STATES)} - set(texts("en")) == set()


def _notes(module: ModuleType) -> Iterator[str]:
    """What calls of `moved` say for the history of a need, where they name it."""
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "moved":
            continue
        match call.args[2]:
            case ast.Constant(str(note)):
                yield note
            case ast.Name(name) if isinstance(constant := getattr(module, name, None), str):
                yield constant


def test_the_desk_asks_what_triage_knows() -> None:
    assert set(registering.ANSWERS) == set(ANSWERS)
    assert set(BANDS) == {each.value for each in Band}


@pytest.mark.parametrize(
    ("asked", "accept", "found"),
    [
        (None, None, "uk"),
        (None, "de-AT,de;q=0.9,en;q=0.5", "de"),
        (None, "fr,en;q=0.2", "en"),
        (None, "en;q=0,pl;q=1", "uk"),
        (None, "en;q=x, ;;;", "uk"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
    ],
)
def test_language_is_asked_for_or_the_browsers(
    asked: str | None, accept: str | None, found: str
) -> None:
    assert choose(asked, accept) == found


def test_money_and_days_as_each_language_writes_them() -> None:
    assert Speaker("uk").money(360_000, "UAH") == "3\u00a0600\u00a0₴"
    assert Speaker("en").money(12_345, "EUR") == "€123.45"
    assert Speaker("en").money(360_000, "UAH") == "UAH\u00a03,600"
    assert Speaker("de").money(-150, "EUR") == "-1,50\u00a0€"
    assert Speaker("de").day(date(2024, 4, 7)) == "7. Apr. 2024"
    assert Speaker("de").whole_day(date(2024, 4, 7)) == "Sonntag, 7. April"
    assert Speaker("de").moment(datetime(2024, 4, 7, 9, tzinfo=UTC)) == "7. Apr. 2024, 12:00"
    assert Speaker("en").day(date(2024, 4, 7)) == "7 Apr 2024"
    assert Speaker("uk").month("2024-04") == "квітень 2024"
    assert i18n.Speaker("en").age(None) == "–"


@pytest.mark.parametrize(("language", "said"), [("uk", "пн"), ("en", "Mo"), ("de", "Mo")])
def test_a_day_of_the_week_fits_a_column_of_a_phone(language: str, said: str) -> None:
    assert Speaker(language).weekday(date(2024, 4, 8)) == said


def test_areas_are_in_the_order_of_the_alphabet() -> None:
    uk, de = Speaker("uk"), Speaker("de")
    names = ["Ялта", "Івано-Франківська", "Київ", "Їжакове", "Житомирська", "Ґанок", "гай"]
    assert sorted(names, key=uk.order) == [
        "гай", "Ґанок", "Житомирська", "Івано-Франківська", "Їжакове", "Київ", "Ялта",
    ]  # fmt: skip
    assert sorted(["Zürich", "Öhringen", "oben", "Potsdam"], key=de.order) == [
        "oben", "Öhringen", "Potsdam", "Zürich",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_places_are_called_the_same(language: str) -> None:
    names = [text for key, text in texts(language).items() if key.startswith("place.")]
    assert len(set(map(str, names))) == len(names)


def test_what_the_catalogue_takes_has_words() -> None:
    found = [Kind.model_validate(each) for each in kinds()]
    goods = {f"goods.{take.item}" for kind in found for take in kind.stock}
    costs = {f"cost_category.{kind.money.cost_category}" for kind in found if kind.money}
    assert len(goods) > 5
    assert len(costs) > 5
    assert goods | costs <= set(texts("en"))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("uk", ("родини", "зобов’яза", "рядок бюджету", "рядка бюджету", "виселен", "виселити",
                "види потреб", "накладні витрати", "ПКП")),
        ("de", ("Zuwendung", "Zuschuss", "Zuschüss", "Budgetlinie", "Budgetzeile",
                "Grenze")),
    ],
)  # fmt: skip
def test_one_thing_has_one_name(language: str, words: tuple[str, ...]) -> None:
    for key, text in texts(language).items():
        for form in _forms(text):
            assert not [word for word in words if word.casefold() in form.casefold()], key
