"""A form that came in: its fields as what they mean, and which of them mean nothing."""

import re
from collections.abc import Container, Mapping, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID, uuid4

from babel.numbers import get_currency_precision
from starlette.datastructures import FormData

from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.i18n import LANGUAGES
from aidmesh_contracts.days import is_possible

TEXT_CHARS_MAX: Final = 4_000
UNCUT: Final = frozenset({"note", "mapping", "table", "serials", "kept"})
"""Fields of many lines: as long as a form may be, for half of a note or table is a wrong one."""
FIELDS_MAX: Final = 2_000
SHOWN_IN: Final = "desk_language"
"""With this field, the language, a form is only to be shown again; nothing is done about it."""
_OF_THE_VISIT: Final = frozenset({"proof", "whose", SHOWN_IN})
CODE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
REGION: Final = re.compile(r"[a-z][a-z0-9]{1,19}")
RATE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
WHOLE_MAX: Final = 10_000_000


class Form:
    """The fields of a form. What cannot be understood is None and noted in `faults`."""

    def __init__(self, data: FormData) -> None:
        self._texts: dict[str, list[str]] = {}
        self._secrets: dict[str, str] = {}
        for name, value in data.multi_items():
            if name == "password" and isinstance(value, str):
                self._secrets[name] = value
            elif isinstance(value, str):
                text = value.strip() if name in UNCUT else value.strip()[:TEXT_CHARS_MAX]
                self._texts.setdefault(name, []).append(text)
        self.faults: dict[str, str] = {}

    @property
    def values(self) -> Mapping[str, str]:
        """Every field as it was written, to show it again."""
        return {name: texts[-1] for name, texts in self._texts.items()}

    @property
    def sent(self) -> Sequence[tuple[str, str]]:
        """All fields but secrets and those of the visit, each as often as it came: to send anew."""
        return [
            (name, text)
            for name, texts in self._texts.items()
            if name not in _OF_THE_VISIT
            for text in texts
        ]

    @property
    def shown_in(self) -> str | None:
        """The language in which the form is only to be shown again, if that is what is asked."""
        wanted = self.text(SHOWN_IN)
        return wanted if wanted in LANGUAGES else None

    @property
    def key(self) -> UUID:
        """What makes this form count once: made when it was shown, sent with it each time."""
        return self.uuid("key") or uuid4()

    def after(self, error: ClientError) -> tuple[int, UUID | None]:
        """The status of the page that shows this form again, and the key of the next try.

        Without an answer it may have been done all the same: a second try keeps its key.
        """
        return (503, self.key) if isinstance(error, Away) else (409, None)

    def text(self, name: str, *, needed: bool = False) -> str | None:
        """The text of a field, None if it is empty."""
        found = self._texts.get(name, [""])[-1].replace("\0", "") or None
        if found is None and needed:
            self.faults[name] = "missing"
        return found

    def code(self, name: str) -> str | None:
        """A code that somebody made up, such as `kyiv-2`; it is needed."""
        text = self.text(name, needed=True)
        if text is not None and not CODE.fullmatch(text):
            self.faults[name] = "source"
            return None
        return text

    def codes(self, name: str) -> list[str] | None:
        """Codes that somebody made up, apart by blanks or commas; None where there is none."""
        found = (self.text(name) or "").replace(",", " ").split()
        if not all(CODE.fullmatch(each) for each in found):
            self.faults[name] = "source"
        return list(dict.fromkeys(found)) or None

    def choice(self, name: str, options: Container[str]) -> str | None:
        """One of `options`; it is needed."""
        text = self.text(name, needed=True)
        if text is not None and text not in options:
            self.faults[name] = "choice"
            return None
        return text

    def secret(self, name: str) -> str:
        """A password, exactly as it was typed."""
        return self._secrets.get(name, "")

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a field that may be there several times."""
        return tuple(text for text in self._texts.get(name, ()) if text)

    def ids(self, name: str) -> tuple[UUID, ...]:
        """Each id of a field that may be there several times, once; what is none is left out."""
        found: dict[UUID, None] = {}
        for text in self.many(name):
            try:
                found[UUID(text)] = None
            except ValueError:
                continue
        return tuple(found)

    def checked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self._texts.get(name, [""])[-1])

    def whole(
        self, name: str, *, needed: bool = False, least: int = 1, most: int = WHOLE_MAX
    ) -> int | None:
        """A whole number of at least `least` and at most `most`."""
        text = self.text(name, needed=needed)
        if text is None:
            return None
        try:
            number = int(text.replace(" ", "").replace("\u00a0", ""))
        except ValueError:
            self.faults[name] = "number"
            return None
        if not least <= number <= most:
            self.faults[name] = "too_small" if number < least else "too_large"
            return None
        return number

    def money(self, name: str, currency: str, *, needed: bool = False) -> int | None:
        """An amount above zero, in minor units of `currency`; comma and point both do."""
        text = self.text(name, needed=needed)
        if text is None:
            return None
        plain = text.replace(" ", "").replace("\u00a0", "").replace(",", ".")
        try:
            minor = Decimal(plain).scaleb(get_currency_precision(currency))
        except InvalidOperation:
            minor = Decimal(-1)
        if not minor.is_finite() or minor != minor.to_integral_value() or not 0 < minor < 10**15:
            self.faults[name] = "amount"
            return None
        return int(minor)

    def money_or_none(self, name: str, currency: str) -> int:
        """The same of what may be worth nothing: zero, or left empty."""
        text = self.text(name)
        if text is None or not text.strip("0,. "):
            return 0
        return self.money(name, currency) or 0

    def rate(self, name: str) -> str | None:
        """A rate of exchange as it was published; comma and point both do."""
        text = self.text(name)
        if text is None:
            return None
        plain = text.replace(" ", "").replace(",", ".")
        if not RATE.fullmatch(plain):
            self.faults[name] = "rate"
            return None
        return plain

    def percent(self, name: str) -> int | None:
        """A share from 0 to 100 percent, in hundredths of a percent; comma and point both do."""
        text = self.text(name)
        if text is None:
            return None
        try:
            hundredths = Decimal(text.replace(" ", "").replace(",", ".")).scaleb(2)
        except InvalidOperation:
            hundredths = Decimal(-1)
        if not hundredths.is_finite() or hundredths % 1 or not 0 <= hundredths <= 10_000:
            self.faults[name] = "percent"
            return None
        return int(hundredths)

    def day(self, name: str, *, needed: bool = False) -> date | None:
        """A day, as browsers send it, that somebody can mean."""
        text = self.text(name, needed=needed)
        if text is None:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.faults[name] = "day"
            return None
        return day if self._is_possible(name, day) else None

    def moment(self, name: str, zone: tzinfo, *, needed: bool = False) -> datetime | None:
        """A date and a time of day in `zone`, as browsers send it."""
        text = self.text(name, needed=needed)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text).replace(tzinfo=zone)
        except ValueError:
            self.faults[name] = "moment"
            return None
        return moment if self._is_possible(name, moment.date()) else None

    def _is_possible(self, name: str, day: date) -> bool:
        possible = is_possible(day)
        if not possible:
            self.faults[name] = "day_range"
        return possible

    def uuid(self, name: str, *, needed: bool = False) -> UUID | None:
        """The id of something chosen from a list."""
        text = self.text(name, needed=needed)
        if text is None:
            return None
        try:
            return UUID(text)
        except ValueError:
            self.faults[name] = "choice"
            return None

    def regions(self, name: str) -> list[str] | None:
        """Names of regions, apart by blanks or commas; None for all regions."""
        names = (self.text(name) or "").replace(",", " ").split()
        if not all(REGION.fullmatch(each) for each in names):
            self.faults[name] = "regions"
        return sorted(set(names)) or None


def shown_again(form: Form | None, key: UUID | None) -> dict[str, object]:
    """What a page needs to show its form: as it was sent, if it was, and under which key.

    Args:
        key: of the next try; a new one where none is kept.
    """
    return {
        "values": form.values if form else {},
        "faults": form.faults if form else {},
        "key": key or uuid4(),
    }


def as_text(value: UUID | date | None) -> str | None:
    """An id, a day or a moment as services read it."""
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date) else str(value)


def filled(body: Mapping[str, object]) -> dict[str, object]:
    """A body without the fields that were left empty."""
    return {name: value for name, value in body.items() if value is not None}


def amount_text(minor: int, currency: str) -> str:
    """An amount as it is typed into a form."""
    return str(Decimal(minor).scaleb(-get_currency_precision(currency)))
