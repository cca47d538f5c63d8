"""Where the code writes to the log, read from its source: which event, how severe, which fields."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "aidmesh_chassis", "aidmesh_contracts", "aidmesh_intake", "aidmesh_inventory",
    "aidmesh_payments", "aidmesh_notification", "aidmesh_reporting", "aidmesh_console", "aidmesh",
)  # fmt: skip
LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "fatal": "critical",
}
VOCABULARIES: Final = frozenset({"log_events.py", "vocabulary.py"})


@dataclass(frozen=True, slots=True)
class LogCall:
    """One line of code that writes to the log.

    Attributes:
        place: file and line.
        names: of the event; more than one where the code chooses, None where none can be read off.
        fields: that it adds to those bound to the context.
    """

    place: str
    level: str
    names: tuple[str, ...] | None
    fields: frozenset[str]


def folder_of(package: str) -> Path:
    """Where an installed package's source is. Raises LookupError when it is not there."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(package)
    return Path(spec.submodule_search_locations[0])


def trees_of(package: str) -> Iterator[tuple[Path, ast.Module]]:
    """The parsed modules of a package, without its vocabulary."""
    for path in sorted(folder_of(package).rglob("*.py")):
        if path.name not in VOCABULARIES:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


@cache
def calls_of(package: str) -> tuple[LogCall, ...]:
    """All calls of a package's loggers, which are called `log`, and of `Wait`s, called `wait`."""
    return tuple(_calls_of(package))


def _calls_of(package: str) -> Iterator[LogCall]:
    for path, tree in trees_of(package):
        assigned = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        attr=attr,
                        value=ast.Name(id="log" | "wait")
                        | ast.Attribute(attr="log" | "_log" | "wait" | "_wait"),
                    ),
                    args=[first, *_],
                ) if attr in LEVELS:
                    fields = set(_fields(node.keywords, assigned))
                    if attr == "exception":
                        fields.add("exception")
                    place = f"{path.name}:{node.lineno}"
                    yield LogCall(place, LEVELS[attr], names_in(first), frozenset(fields))


def names_in(argument: ast.expr) -> tuple[str, ...] | None:
    """The names that an argument may be: a literal, or a choice between literals."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return (argument.value,)
    if isinstance(argument, ast.IfExp):
        one, other = names_in(argument.body), names_in(argument.orelse)
        return None if one is None or other is None else one + other
    return None


def _fields(keywords: Iterable[ast.keyword], assigned: Mapping[str, ast.expr]) -> Iterator[str]:
    for keyword in keywords:
        if keyword.arg is not None:
            yield "exception" if keyword.arg == "exc_info" else keyword.arg
            continue
        value = keyword.value
        if isinstance(value, ast.Name):
            value = assigned.get(value.id, value)
        match value:
            case ast.Call(
                func=ast.Name(id="counted") | ast.Attribute(attr="counted"),
                args=[ast.Constant(value=str(word)), *_],
            ):
                yield from (f"{word}s", f"{word}_id")


@cache
def _written_apart(package: str) -> Mapping[str, frozenset[str]]:
    """Lines that are put together as they are, without a logger: their event and fields."""
    found: dict[str, frozenset[str]] = {}
    for _, tree in trees_of(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                said = {
                    key.value: value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
                event = said.pop("event", None)
                if isinstance(event, ast.Constant) and isinstance(event.value, str):
                    names = {"exception" if name == "exc_info" else name for name in said}
                    found[event.value] = frozenset(names - {"level"})
    return found


def fields_by_event(packages: Iterable[str] = PACKAGES) -> Mapping[str, frozenset[str]]:
    """For each event the fields that some line of it has, beside those of every line."""
    found: dict[str, frozenset[str]] = {}
    for package in packages:
        for call in calls_of(package):
            for name in call.names or ():
                found[name] = found.get(name, frozenset()) | call.fields
        found |= _written_apart(package)
    return found
