"""The vocabulary of the logs against the code: every name known, every entry used."""

import ast
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from aidmesh.log_calls import PACKAGES, calls_of, fields_by_event, trees_of
from aidmesh_chassis.vocabulary import EVENTS, FIELDS, LogEvent


def words_of(package: str) -> Mapping[str, LogEvent]:
    """The package's own words; the chassis's are everybody's."""
    if package == "aidmesh_chassis":
        return EVENTS
    if find_spec(f"{package}.log_events") is None:
        return {}
    found: Mapping[str, LogEvent] = import_module(f"{package}.log_events").EVENTS
    return found


def test_every_package_is_looked_at() -> None:
    root = Path(__file__).parents[2]
    there = {path.name for path in root.glob("*/*/src/aidmesh*") if path.suffix != ".egg-info"}
    assert set(PACKAGES) == there
    assert len(calls_of("aidmesh_chassis")) > 20


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
                    strange.append(f"{path.name}:{node.lineno}")
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


def test_fields_of_any_line_are_told_and_one_thing_has_one_name() -> None:
    fields = fields_by_event()
    assert {"durable", "duration_ms", "messages"} == fields["batch.handled"]
    assert {"needs", "need_id"} <= fields["need.waitlisted"]
    used = {field for many in fields.values() for field in many}
    assert {name for name in used if name.endswith("_ms")} == {"duration_ms"}
    synonyms = {"ms", "seconds", "need", "request", "correlation", "elapsed", "took", "error"}
    assert not used & synonyms
    bound = {"request_id", "correlation_id", "event_id", "need_id", "staff_id", "sweep"}
    assert bound | {"duration_ms", "exception"} <= set(FIELDS)


def test_whoever_is_on_call_reads_what_took_how_long() -> None:
    fields = fields_by_event()
    for event in ("http.request", "batch.handled", "sweep.done", "sweep.failed"):
        assert "duration_ms" in fields[event], event


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_word_says_which_fields_it_has(package: str) -> None:
    """Else the table of the fields would not be whole."""
    unseen = set(words_of(package)) - set(fields_by_event([package, "aidmesh_chassis"]))
    assert not unseen, unseen
