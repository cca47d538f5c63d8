"""The vocabulary of the logs against the code: every name known, every entry used."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from aidmesh_chassis.vocabulary import EVENTS, LogEvent

ROOT = Path(__file__).parents[2]
PACKAGES = {
    path.name: path
    for path in (*ROOT.glob("services/*/src/aidmesh_*"), *ROOT.glob("shared/*/src/aidmesh_*"))
} | {"aidmesh": ROOT / "deploy/aidmesh/src/aidmesh"}
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "fatal": "critical",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One line of code that writes to the log; `names` is None where no name can be read off."""

    place: str
    level: str
    names: tuple[str, ...] | None


def words_of(package: str) -> Mapping[str, LogEvent]:
    """The package's own words; the chassis's are everybody's."""
    if package == "aidmesh_chassis":
        return EVENTS
    if find_spec(f"{package}.log_events") is None:
        return {}
    found: Mapping[str, LogEvent] = import_module(f"{package}.log_events").EVENTS
    return found


def trees_of(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGES[package].rglob("*.py")):
        if path.name not in {"log_events.py", "vocabulary.py"}:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def names_in(argument: ast.expr) -> tuple[str, ...] | None:
    """The names that an argument may be: a literal, or a choice between literals."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return (argument.value,)
    if isinstance(argument, ast.IfExp):
        one, other = names_in(argument.body), names_in(argument.orelse)
        return None if one is None or other is None else one + other
    return None


def calls_of(package: str) -> Iterator[Call]:
    for path, tree in trees_of(package):
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        attr=attr, value=ast.Name(id="log") | ast.Attribute(attr="log" | "_log")
                    ),
                    args=[first, *_],
                ) if attr in LEVELS:
                    place = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Call(place, LEVELS[attr], names_in(first))


def test_every_package_is_looked_at() -> None:
    assert {"aidmesh", "aidmesh_chassis", "aidmesh_intake", "aidmesh_console"} <= set(PACKAGES)
    assert len(list(calls_of("aidmesh_chassis"))) > 20


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_what_is_logged_is_in_the_vocabulary_at_that_level(package: str) -> None:
    words = {**EVENTS, **words_of(package)}
    strange = [
        f"{call.place}: {name or 'no literal name'} at {call.level}"
        for call in calls_of(package)
        for name in call.names or (None,)
        if name is None or name not in words or words[name].level != call.level
    ]
    assert not strange, "\n".join(strange)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_loggers_are_called_log(package: str) -> None:
    """Else the test above would not see what they write."""
    makers = {"get_logger", "getLogger"}
    strange = []
    for path, tree in trees_of(package):
        good = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and all(isinstance(target, ast.Name) and target.id == "log" for target in node.targets)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and id(node) not in good and path.name != "logs.py":
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else ""
                name = called.id if isinstance(called, ast.Name) else name
                if name in makers:
                    strange.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not strange, strange


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_word_is_used(package: str) -> None:
    literals = {
        node.value
        for _, tree in trees_of(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(words_of(package)) <= literals, set(words_of(package)) - literals


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_trouble_comes_with_what_to_do(package: str) -> None:
    nothing = LogEvent("info", "").what_to_do
    bare = [
        name
        for name, word in words_of(package).items()
        if word.level in {"warning", "error", "critical"} and word.what_to_do.strip() == nothing
    ]
    assert not bare, bare


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - {"aidmesh_chassis"}))
def test_no_word_means_two_things(package: str) -> None:
    assert not set(words_of(package)) & set(EVENTS)
