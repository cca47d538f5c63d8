"""Templates: complete, and silent about who helps with what."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from aidmesh_contracts.languages import LANGUAGES
from aidmesh_contracts.pickup import end_of
from aidmesh_notification.domain.sending import Wording
from aidmesh_notification.texts import Rendered, Template, Templates, load_templates

ORGANIZATION = "Alliance Global"
# Stems, so that every inflection is found.
FORBIDDEN = re.compile(
    r"aidmesh|allianc|альянс|lgbt|лгбт|gay|гей|gei|queer|квір|trans|транс|hiv|віл|снід|"
    r"aids|sti\b|іпсш|test|тест|prep|pep|health|здоров|gesund|medic|мед|arzt|doctor|лікар|"
    r"clinic|клін|klinik|hormon|гормон|therap|терап|counsel|психолог|psycho|beratung|legal|"
    r"юрид|recht|shelter|притул|unterkunft|bed|ліжк|food|їж|харч|lebensmittel|parcel|пакун|"
    r"посил|paket|cash|грош|кошт|geld|money|aid\b|help|допомог|hilf|grant|грант|donor|донор|"
    r"hygien|гігієн|voucher|ваучер|organi[sz]ation|організац|appointment|запис|termin|"
    r"violence|насил|gewalt|http|www|@|\+?\d{6,}",
    re.IGNORECASE,
)


NOON = datetime(2024, 12, 6, 10, 0, 59, tzinfo=UTC)  # 12:00 in Kyiv
WORDINGS: tuple[Wording, ...] = ("neutral", "plain")


def render(
    templates: Templates, code: str, wording: Wording, language: str, until_at: datetime = NOON
) -> Rendered:
    return templates.render(
        code,
        wording,
        language,
        until_at=until_at,
        count=3,
        starts_at=NOON + timedelta(hours=2),
        from_on=date(2024, 12, 5),
    )


def test_neutral_texts_say_nothing_about_the_organization_or_the_help() -> None:
    templates = load_templates(ORGANIZATION)
    for template in templates:
        for language in LANGUAGES:
            shown = render(templates, template.code, "neutral", language)
            found = FORBIDDEN.search(f"{shown.subject} {shown.text}")
            assert found is None, (template.code, language, found)
            assert template.texts["neutral"][language].placeholders <= {
                "at", "from_on", "until", "count"
            }  # fmt: skip


PROMISES = re.compile(
    r"\b(paid|pay|sent|transfer|bank|card|account|way|granted)|надісл|переказ|рахун|сплач|"
    r"überw|bezahl|geschickt|unterwegs|bewillig|konto",
    re.IGNORECASE,
)


def test_whoever_need_not_come_is_promised_nothing_that_may_still_be_refused() -> None:
    templates = load_templates(ORGANIZATION)
    for wording in WORDINGS:
        for language in LANGUAGES:
            shown = render(templates, "need_not_come", wording, language)
            assert PROMISES.search(f"{shown.subject} {shown.text}") is None, (wording, language)
            assert re.search(r"\d", shown.text) is None, "no day"


def test_every_text_is_filled_in_and_fits_a_short_message() -> None:
    templates = load_templates(ORGANIZATION)
    for template in templates:
        for wording in WORDINGS:
            for language in LANGUAGES:
                shown = render(templates, template.code, wording, language)
                assert "{" not in shown.subject + shown.text
                assert len(shown.text) <= 160
                assert (ORGANIZATION in shown.text) == (wording == "plain")


@pytest.mark.parametrize(
    ("language", "day", "noon", "two"),
    [
        ("uk", "06.12.2024", "06.12.2024, 12:00", "06.12.2024, 14:00"),
        ("en", "2024-12-06", "2024-12-06, 12:00", "2024-12-06, 14:00"),
        ("de", "06.12.2024", "06.12.2024, 12:00 Uhr", "06.12.2024, 14:00 Uhr"),
    ],
)
def test_a_time_of_day_is_told_only_where_it_counts(
    language: str, day: str, noon: str, two: str
) -> None:
    templates = load_templates(ORGANIZATION)
    for wording in WORDINGS:
        by_noon = render(templates, "need_ready", wording, language).text
        assert noon in by_noon
        by_day = render(templates, "need_ready", wording, language, end_of(date(2024, 12, 6))).text
        assert by_day == by_noon.replace(noon, day)
        nearly = end_of(date(2024, 12, 6)) - timedelta(seconds=59)
        by_minute = render(templates, "need_ready", wording, language, nearly).text
        assert by_minute == by_noon.replace("12:00", "23:59")
        assert two in render(templates, "need_ready_at", wording, language).text
        between = render(templates, "need_ready_from", wording, language).text
        assert between.index(noon) > between.index(day.replace("6", "5", 1)) > 0


def test_messages_to_people_go_out_at_most_once_by_default() -> None:
    templates = load_templates(ORGANIZATION)
    assert templates.at_least_once == ["staff_to_tell"]


@pytest.mark.parametrize(
    ("wording", "field"), [("neutral", "organization"), ("neutral", "kind"), ("plain", "name")]
)
def test_a_text_that_speaks_of_more_than_it_may_is_refused(wording: str, field: str) -> None:
    texts = {
        each: {language: {"subject": "s", "text": "t"} for language in LANGUAGES}
        for each in ("neutral", "plain")
    }
    texts[wording]["de"]["text"] = "{" + field + "}"
    with pytest.raises(ValidationError, match=field):
        Template.model_validate({"code": "x", "guarantee": "at_most_once", "texts": texts})


def test_a_template_without_one_of_the_languages_is_refused() -> None:
    texts = {"neutral": {"uk": {"subject": "s", "text": "t"}}, "plain": {}}
    with pytest.raises(ValidationError, match="no neutral text in en"):
        Template.model_validate({"code": "x", "guarantee": "at_most_once", "texts": texts})
