"""How a line is shown to whoever is on call."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from aidmesh.reading.lines import Line
from aidmesh_chassis.vocabulary import LogEvent

_COLORS: Final = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "1;31"}
_HEAD: Final = frozenset({"ts", "level", "event", "service", "region", "exception"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Shown:
    """Writes lines for a terminal.

    Args:
        colors: whether to use them.
        words: what log events mean, told once below the first of each that is a warning or worse;
            None to tell nothing.
    """

    def __init__(self, *, colors: bool, words: Mapping[str, LogEvent] | None = None) -> None:
        """Nothing has been shown yet."""
        self._colors = colors
        self._words = dict(words or {})
        self._day = ""

    def text(self, line: Line) -> Iterator[str]:
        """The lines that show one line."""
        if line.at[:10] != self._day and line.at:
            self._day = line.at[:10]
            yield self._in("2", f"-- {self._day} (UTC)")
        if not line.fields:
            # Whatever a program printed: no control characters reach the terminal.
            yield self._in("2", _CONTROL.sub(" ", line.text))
            return
        fields = line.fields
        level = str(fields.get("level", ""))
        event = str(fields.get("event", ""))
        place = f"{fields.get('region', '')} {fields.get('service', '')}".strip()
        rest = " ".join(
            f"{name}={_short(value)}" for name, value in fields.items() if name not in _HEAD
        )
        yield (
            f"{self._in('2', line.at[11:23])} {place:<19} "
            f"{self._in(_COLORS.get(level, '0'), f'{level:<8}')} "
            f"{self._in('1', event)} {rest}"
        ).rstrip()
        yield from self._trouble(fields.get("exception"))
        word = self._words.get(event)
        if word is not None and level in {"warning", "error", "critical"}:
            del self._words[event]
            yield self._in("2", f"    {word.meaning} {word.what_to_do}")

    def _trouble(self, exception: object) -> Iterator[str]:
        if not isinstance(exception, dict):
            return
        yield self._in("31", f"    {exception.get('type')}: {exception.get('message', '')}")
        places = exception.get("at")
        for place in places if isinstance(places, list) else ():
            yield self._in("2", f"      {_short(place)}")

    def _in(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._colors else text


def _short(value: object) -> str:
    text = _CONTROL.sub(" ", value if isinstance(value, str) else str(value))
    return repr(text) if " " in text or not text else text
