"""What the desk says, in Ukrainian, English and German.

`uk.json`, `en.json` and `de.json` hold the same keys; a test compares them. A text is a string,
or an object of plural forms by CLDR category (`one`, `few`, `many`, `other`) where it counts
something. Dates, numbers and money are written by Babel as each language writes them.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final
from unicodedata import normalize

from babel import Locale, UnknownLocaleError
from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_precision,
    get_currency_symbol,
)
from pydantic import TypeAdapter

from aidmesh_contracts.days import KYIV, day_of
from aidmesh_contracts.pickup import end_of

LANGUAGES: Final = ("uk", "en", "de")
DEFAULT: Final = "uk"
_UKRAINIAN: Final = "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"

Texts = Mapping[str, str | Mapping[str, str]]
_TEXTS: Final[TypeAdapter[Texts]] = TypeAdapter(dict[str, str | dict[str, str]])


@cache
def texts(language: str) -> Texts:
    """Every text of one language, by key."""
    raw = (files(__package__) / f"{language}.json").read_text(encoding="utf-8")
    return _TEXTS.validate_python(json.loads(raw))


def choose(asked: str | None, accept: str | None) -> str:
    """The language of a page: asked for on the desk, else the browser's, else Ukrainian."""
    if asked in LANGUAGES:
        return asked or DEFAULT
    found = negotiate_locale(_preferences(accept or ""), LANGUAGES, sep="-")
    return found or DEFAULT


def _preferences(accept: str) -> Iterable[str]:
    """The tags of an Accept-Language header (RFC 9110, section 12.5.4), the dearest first."""
    weighed: list[tuple[float, str]] = []
    for part in accept[:500].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and weight > 0:
            weighed.append((-weight, tag.split("-")[0].lower()))
    return [tag for _, tag in sorted(weighed, key=lambda each: each[0])]


class Speaker:
    """Says things in one language."""

    def __init__(self, language: str) -> None:
        try:
            self._locale = Locale.parse(language)
        except (ValueError, UnknownLocaleError):
            language = DEFAULT
            self._locale = Locale.parse(DEFAULT)
        self.language = language
        self._d = "d." if language == "de" else "d"
        self._texts = texts(language)

    def __call__(self, key: str, count: int | None = None, /, **values: object) -> str:
        """The text of `key`, its braces filled with `values`; `count` chooses the plural form.

        Raises KeyError for a key that is not there: a page with holes is found by its test.
        """
        text = self._texts[key]
        if not isinstance(text, str):
            number = 0 if count is None else count
            text = text.get(self._locale.plural_form(number)) or text["other"]
        if count is not None:
            values["count"] = self.number(count)
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether there is a text of this key."""
        return key in self._texts

    def code(self, group: str, code: object) -> str:
        """The text of a code of the field, such as a state; the code itself if it is new."""
        key = f"{group}.{code}"
        return self(key) if key in self._texts else str(code).replace("_", " ")

    def name(self, names: Mapping[str, str], otherwise: str) -> str:
        """The name in this language, else in Ukrainian or English, else `otherwise`."""
        for language in (self.language, DEFAULT, "en"):
            if names.get(language):
                return names[language]
        return otherwise

    def order(self, text: str) -> tuple[tuple[int, str], ...]:
        """What a text is sorted by: letters as the language has them, accents and case aside."""
        return tuple(_letter(each) for each in text.casefold())

    def number(self, number: int) -> str:
        """A whole number with its thousands set apart."""
        return format_decimal(number, locale=self._locale)

    def money(self, amount_minor: int, currency: str) -> str:
        """An amount in minor units, written out; whole amounts without their zeros."""
        amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
        whole = amount == amount.to_integral_value()
        pattern = _money_pattern(self._locale, get_currency_symbol(currency, self._locale))
        return format_currency(
            amount,
            currency,
            pattern.replace(".00", "") if whole else pattern,
            locale=self._locale,
            currency_digits=not whole,
        )

    def day(self, day: date | None) -> str:
        """A day as one says it: short, with the year only when it is another one."""
        if day is None:
            return "–"
        pattern = f"{self._d} MMM" if day.year == today().year else f"{self._d} MMM y"
        return format_date(day, pattern, locale=self._locale)

    def whole_day(self, day: date) -> str:
        """A day with its name, for the head of a page."""
        return format_date(day, f"EEEE, {self._d} MMMM", locale=self._locale)

    def weekday(self, day: date) -> str:
        """The two or three letters of a day of the week, without the point that some end with."""
        return format_date(day, "EEEEEE", locale=self._locale).removesuffix(".")

    def month(self, month: str) -> str:
        """A month of a year, from `YYYY-MM`."""
        return format_date(date.fromisoformat(f"{month}-01"), "LLLL y", locale=self._locale)

    def moment(self, moment: datetime | None) -> str:
        """A moment on the clocks of Kyiv."""
        if moment is None:
            return "–"
        pattern = (
            f"{self._d} MMM, HH:mm" if moment.year == today().year else f"{self._d} MMM y, HH:mm"
        )
        return format_datetime(moment, pattern, tzinfo=KYIV, locale=self._locale)

    def until(self, day: date, moment: datetime | None) -> str:
        """The last day on which something is of use, or its last hour where that comes first."""
        if moment is None or day_of(moment) > day:
            return self.day(day)
        return self.moment(moment)

    def deadline(self, moment: datetime) -> str:
        """Until when something is kept: a day by itself if all of it counts, as people are told."""
        last_on = day_of(moment)
        return self.day(last_on) if moment == end_of(last_on) else self.moment(moment)

    def age(self, moment: datetime | None) -> str:
        """How long ago a moment was."""
        if moment is None:
            return "–"
        past = min(moment - datetime.now(UTC), timedelta(0))
        return format_timedelta(past, add_direction=True, locale=self._locale, format="short")


def _letter(letter: str) -> tuple[int, str]:
    """Where a letter stands: Ukrainian ones by their alphabet, others without their accents."""
    place = _UKRAINIAN.find(letter)
    return (place + 1, letter) if place >= 0 else (0, normalize("NFKD", letter)[0])


def today() -> date:
    """The day in Kyiv: what a person at the desk means when they give none."""
    return datetime.now(KYIV).date()


def _money_pattern(locale: Locale, symbol: str) -> str:
    """How the language writes money; a symbol of letters stands apart from the number."""
    pattern: str = locale.currency_formats["standard"].pattern
    return pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#") if symbol.isalpha() else pattern
