"""What lines say of themselves that are no JSON: those of PostgreSQL, NATS and interpreters."""

import re
from typing import Final

WRITERS: Final = (
    "intake", "inventory", "payments", "notification", "reporting", "console", "supervisor",
    "postgres", "nats",
)  # fmt: skip
"""Whose name a container, pod or unit has in its own."""

_LEVELS: Final = {
    "trc": "debug", "dbg": "debug", "debug": "debug",
    "inf": "info", "info": "info", "log": "info", "notice": "info",
    "wrn": "warning", "warn": "warning", "warning": "warning",
    "err": "error", "error": "error", "traceback": "error",
    # PostgreSQL's ends one session, not the server.
    "fatal": "error",
    "ftl": "critical", "critical": "critical", "panic": "critical", "fatal error": "critical",
    "fatal python error": "critical",
}  # fmt: skip
_LEVEL: Final = re.compile(
    r"""
    (?:^|[\s\]])(?:
      \[(?P<nats>TRC|DBG|INF|WRN|ERR|FTL)\]\s                              # nats-server
      | (?P<trace>Traceback)[ ]\(most[ ]recent[ ]call[ ]last\)
      | (?P<word>fatal[ ]python[ ]error|fatal[ ]error|panic|fatal|critical|error|warning|warn
          |notice|info|log|debug)\d?:(?=\s|$)                              # PostgreSQL, and others
      | (?:DETAIL|HINT|QUERY|CONTEXT|LOCATION|STATEMENT):[ ]               # more of the line before
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PAIR: Final = re.compile(r'"(\w+)":\s?"((?:[^"\\]|\\.)*)"')
_CUT_OFF: Final = re.compile(r'(?:\d{4}-\S+ )?{(?=")')
_HEAD_CHARS_MAX: Final = 200
"""A level stands before what is told."""


def level_in(words: str, before: str = "") -> str:
    """The level that a line says that it has, as our own are called; `before` if it says none.

    Args:
        words: of the line, without what others put before it.
        before: the level of the line that it may go on from.
    """
    found = _LEVEL.search(words, 0, _HEAD_CHARS_MAX)
    said = found and (found["nats"] or found["trace"] or found["word"])
    return _LEVELS[said.lower()] if said else before


def pairs_in(words: str) -> dict[str, str]:
    """What is left of a JSON line that was cut off: its fields that are texts, as far as whole."""
    start = _CUT_OFF.match(words)
    return dict(_PAIR.findall(words, start.end())) if start else {}


def service_in(who: str) -> str:
    """Whose lines a container, pod or unit writes; empty if its name does not tell.

    Args:
        who: its name; in the journal behind that of the machine, or before the process's id.
    """
    name = next((each for each in reversed(who.split()) if not each.isdecimal()), "")
    parts = re.split(r"[^a-z]+", name.lower())
    return next((each for each in reversed(parts) if each in WRITERS), "")
