"""What a line of a log says, whoever has passed it on."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

Fields = Mapping[str, object]

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class FilterError(ValueError):
    """What was asked for can't be understood; the message says how it would be."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        at: when, as ISO 8601 in UTC with milliseconds, so that text sorts by time; what says no
            time of its own has that of the line before it.
        fields: what it says; empty for a line that is no JSON, such as a traceback of an
            interpreter that could not start.
        text: as it was written.
    """

    at: str
    fields: Fields
    text: str


def parse(text: str, before: str = "") -> Line:
    """Read a line.

    Taken as they come: our JSON lines; the same behind what `docker compose logs`,
    `kubectl logs --prefix --timestamps` and `journalctl` put before them; and `journalctl -o json`.

    Args:
        text: without its line end.
        before: the time of the line before it.
    """
    start = text.find("{")
    fields = _object(text[start:]) if start >= 0 else None
    if fields is not None and "event" not in fields:
        fields = _from_journal(fields)
    if fields is None:
        return Line(before, {}, text)
    return Line(_time(fields.get("ts")) or before, fields, text)


def dumped(line: Line) -> str:
    """The line as JSON alone; one that is none stands in `text`."""
    fields = line.fields or {"ts": line.at, "text": line.text}
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
