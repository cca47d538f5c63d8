"""Which lines somebody wants to see: `need=ID`, `level>=warning`, `event=message.*`, words."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Final

from aidmesh.reading.lines import Fields, FilterError, Line

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_FILTER: Final = re.compile(r"([A-Za-z_][\w.]*)(>=|<=|!=|=|~|>|<)(.*)", re.DOTALL)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {">=": ge, "<=": le, ">": gt, "<": lt}


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one field; all conditions of a command have to hold.

    Attributes:
        name: of the field; `need` also finds `need_id`, `exception.type` looks inside.
        operator: `=` and `!=` compare with any of several, `*` standing for anything; `~` looks
            for words within; the others compare numbers, and levels by how severe they are. Empty
            for words anywhere in the line.
        values: what to compare with.
    """

    name: str
    operator: str
    values: tuple[str, ...]

    def admits(self, line: Line) -> bool:
        """Whether a line fulfills it; one without the field fulfills `!=` alone."""
        if not self.operator:
            return self.values[0].casefold() in line.text.casefold()
        found = _value(line.known, self.name)
        if found is None:
            return self.operator == "!="
        if self.operator == "~":
            return self.values[0].casefold() in found.casefold()
        if self.operator in _COMPARE:
            return _compares(self.name, self.operator, found, self.values[0])
        same = any(fnmatchcase(found.casefold(), value.casefold()) for value in self.values)
        return same is (self.operator == "=")


def filters(words: Sequence[str]) -> list[Filter]:
    """Read filters as they are typed. Raises FilterError."""
    return [_filter(word) for word in words]


def admitted(line: Line, wanted: Sequence[Filter]) -> bool:
    """Whether a line fulfills all filters."""
    return all(each.admits(line) for each in wanted)


def _filter(word: str) -> Filter:
    match = _FILTER.fullmatch(word)
    if match is None:
        return Filter("", "", (word,))
    name, operator, value = match.groups()
    values = tuple(value.split(",")) if operator in {"=", "!="} else (value,)
    if operator in _COMPARE:
        known = value in LEVELS if name == "level" else _number(value) is not None
        if not known:
            wanted = f"one of {', '.join(LEVELS)}" if name == "level" else "a number"
            raise FilterError(f"{word}: compare {name} with {wanted}.")
    elif name == "level" and (unknown := [each for each in values if each not in LEVELS]):
        raise FilterError(f"{word}: there is no level {unknown[0]}; use {', '.join(LEVELS)}.")
    return Filter(name, operator, values)


def _compares(name: str, operator: str, found: str, wanted: str) -> bool:
    if name == "level":
        if found not in LEVELS:
            return False
        return _COMPARE[operator](LEVELS.index(found), LEVELS.index(wanted))
    left, right = _number(found), _number(wanted)
    return left is not None and right is not None and _COMPARE[operator](left, right)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _value(fields: Fields, name: str) -> str | None:
    for candidate in (name, f"{name}_id"):
        found: object = fields
        for part in candidate.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            return found if isinstance(found, str) else str(found).lower()
    return None
