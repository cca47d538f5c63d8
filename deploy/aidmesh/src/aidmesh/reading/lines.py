"""What a line of a log says, whoever has passed it on."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, cast

from aidmesh.reading.plain import level_in, pairs_in, service_in

Fields = Mapping[str, object]
NOTHING: Final[Fields] = MappingProxyType({})

_HEADS: Final = (
    re.compile(r"(?:\x1b\[[\d;]*m)*(?P<who>[\w.-]+) *\|(?:\x1b\[[\d;]*m| )*"),
    re.compile(r"\[(?P<who>pod/[^\]]+)\] "),
    re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\S+) (?P<who>\S+ [^\s\[]+\[\d+\]): "),
)
"""What names the writer of a line: by docker compose, kubectl logs --prefix, journalctl."""

_ZONED: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:[.,]\d+)?) ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?!\S)"
)
"""The time of a line that is no JSON, as PostgreSQL writes it, and whoever passes lines on with
their times. Other names of zones say nothing for certain."""
_OF_NATS: Final = re.compile(r"\[\d+\] (\d{4}/\d\d/\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ")
"""As nats-server does: by our configurations in UTC."""

_TAKEN_IN: Final = "__REALTIME_TIMESTAMP"
"""The field of journalctl -o json for when the journal took a line in."""

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
SOURCES_MAX: Final = 1000
"""So many writers are told apart; of others those that were silent for longest are forgotten."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class FilterError(ValueError):
    """What was asked for can't be understood; the message says how it would be."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        at: when, as ISO 8601 in UTC with milliseconds, so that text sorts by time; what says no
            time of its own has that of the line before it, and none if there was none.
        fields: what it says; empty for a line that is no JSON, such as a traceback of an
            interpreter that could not start.
        text: as it was written.
        derived: `level`, `service` and the like of a line that is no JSON, as far as they show.
    """

    at: str
    fields: Fields
    text: str
    derived: Fields = field(default_factory=lambda: NOTHING)

    @property
    def known(self) -> Fields:
        """What it can be chosen by."""
        return self.fields or self.derived

    @property
    def level_of_text(self) -> str:
        """The level of a line that is no JSON: lines that go on from it have the same."""
        return str(self.derived.get("level", ""))


def parse(text: str, before: str = "", level: str = "", place: Fields = NOTHING) -> Line:
    """Read a line.

    Taken as they come: our JSON lines; the same behind what `docker compose logs`,
    `kubectl logs --prefix --timestamps` and `journalctl` put before them; and `journalctl -o json`.

    Args:
        text: without its line end.
        before: the time of the line before it.
        level: that of the line before it, if that was no JSON either.
        place: what is known of who wrote it.
    """
    start = text.find("{")
    fields = _object(text[start:]) if start >= 0 else None
    entry: Fields = NOTHING
    if fields is not None and "event" not in fields:
        entry, fields = fields, _from_journal(fields)
    if fields is not None:
        return Line(_time(fields.get("ts")) or before, fields, text)
    derived = dict(place)
    if service := service_in(source_of(text)):
        derived["service"] = service
    words = str(entry.get("MESSAGE", "")) if _TAKEN_IN in entry else text[_head_ends(text) :]
    derived |= pairs_in(words)
    if own := derived.get("level") or level_in(words, level):
        derived["level"] = own
    at = _journal_time(entry) or _time(derived.get("ts")) or _text_time(text) or before
    return Line(at, NOTHING, text, derived)


class Reader:
    """Reads what one has written, line by line.

    What says no time or level of its own goes on from the line before it.
    """

    def __init__(self, place: Fields = NOTHING) -> None:
        """Nothing has been written yet; `place` is what is known of the writer."""
        self._place = place
        self._at = ""
        self._level = ""

    def read(self, text: str) -> Line:
        """The next line, without its line end."""
        line = parse(text, self._at, self._level, self._place)
        self._at, self._level = line.at, line.level_of_text
        return line


def source_of(text: str) -> str:
    """Who wrote a line, by what those who passed it on put before it; empty if they did not say."""
    for head in _HEADS:
        if match := head.match(text):
            return match["who"]
    if text.startswith("{") and f'"{_TAKEN_IN}"' in text and (entry := _object(text)):
        return f"{entry.get('_SYSTEMD_UNIT')} {entry.get('_PID')}"
    return ""


class Sources:
    """Reads lines that several have written and that come together.

    What says no time of its own has that of the line before it of the same writer: that of another
    one would say nothing.
    """

    def __init__(self) -> None:
        """Nobody has written yet."""
        self._readers: dict[str, Reader] = {}

    def read(self, text: str) -> Line:
        """The next line, without its line end."""
        who = source_of(text)
        reader = self._readers.pop(who, None) or Reader()
        self._readers[who] = reader
        if len(self._readers) > SOURCES_MAX:
            del self._readers[next(iter(self._readers))]  # who was silent for longest
        return reader.read(text)


def dumped(line: Line) -> str:
    """The line as JSON alone; one that is none stands in `text`."""
    fields = line.fields or {**line.derived, "ts": line.at, "text": line.text}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _object(text: str) -> Fields | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return cast("Fields", found) if isinstance(found, dict) else None


def _from_journal(entry: Fields) -> Fields | None:
    message = entry.get("MESSAGE")
    inner = _object(message) if isinstance(message, str) else None
    return inner if inner is not None and "event" in inner else None


def _journal_time(entry: Fields) -> str | None:
    """When the journal took a line in, in microseconds."""
    try:
        at = datetime.fromtimestamp(int(str(entry[_TAKEN_IN])) / 1e6, UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return _told(at)


def _head_ends(text: str) -> int:
    """Where the writer's own words begin."""
    return next((match.end() for head in _HEADS if (match := head.match(text))), 0)


def _text_time(text: str) -> str | None:
    """The time that a line that is no JSON begins with."""
    for begin in (_head_ends(text), 0):  # journalctl writes it first of all
        if match := _ZONED.match(text, begin):
            zone = match[3] if match[3][0] in "+-" else "+00:00"
            return _time(f"{match[1]}T{match[2].replace(',', '.')}{zone}")
        if match := _OF_NATS.match(text, begin):
            return _time(f"{match[1].replace('/', '-')}T{match[2]}")
    return None


def _time(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return _told(datetime.fromisoformat(value))
    except ValueError:
        return None


def moment(text: str, now: datetime | None = None) -> str:
    """Read a moment as it is typed: `15m` ago, or ISO 8601, in UTC where no offset is given.

    Args:
        text: a number with s, m, h or d, or the moment.
        now: to count back from.

    Raises:
        FilterError: it is neither.
    """
    match = _AGO.fullmatch(text)
    if match is not None:
        back = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        return _told((now or datetime.now(UTC)) - back)
    found = _time(text)
    if found is None:
        raise FilterError(f"{text}: say since when by 30s, 15m, 2h, 1d or 2026-03-01T08:00.")
    return found


def _told(when: datetime) -> str:
    """A moment as the lines of the logs tell it."""
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    text = when.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
