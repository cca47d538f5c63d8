"""Templates: complete, and silent about who helps with what."""

import re
from datetime import date

import pytest
from pydantic import ValidationError

from aidmesh_notification.domain.cards import LANGUAGES
from aidmesh_notification.texts import Template, load_templates

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


def test_neutral_texts_say_nothing_about_the_organization_or_the_help() -> None:
    templates = load_templates(ORGANIZATION)
    for template in templates:
        for language in LANGUAGES:
            shown = templates.render(
                template.code, "neutral", language, until_on=date(2024, 5, 6), count=3
            )
            found = FORBIDDEN.search(f"{shown.subject} {shown.text}")
            assert found is None, (template.code, language, found)
            assert template.texts["neutral"][language].placeholders <= {"until_on", "count"}


def test_every_text_is_filled_in_and_fits_a_short_message() -> None:
    templates = load_templates(ORGANIZATION)
    for template in templates:
        for wording in ("neutral", "plain"):
            for language in LANGUAGES:
                shown = templates.render(
                    template.code,
                    "neutral" if wording == "neutral" else "plain",
                    language,
                    until_on=date(2024, 5, 6),
                    count=3,
                )
                assert "{" not in shown.subject + shown.text
                assert len(shown.text) <= 160
                assert (ORGANIZATION in shown.text) == (wording == "plain")


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
