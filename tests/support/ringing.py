"""Alert rules, evaluated over what services answer on `/metrics`: as much of PromQL as they use.

A rule is one or several comparisons, joined by `and` or `or`; each compares the greatest or
the least of a metric, by the labels that it and `aidmesh_info` have, with a number.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from aidmesh.alerts import ALERTS
from aidmesh_chassis.db import Database
from aidmesh_chassis.metrics import Levels, Measured, Metrics

COMPARISON = re.compile(
    r"(?P<pick>max|min) by \((?P<by>[\w, ]+)\) "
    r"\((?P<metric>\w+)(?:\{(?P<label>\w+)=\"(?P<value>\w+)\"\})?"
    r" \* on \(instance\) group_left \((?P<joined>[\w, ]+)\) aidmesh_info\)"
    r" (?P<how>>|==) (?P<number>\d+)"
)
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of one scraped service."""

    metric: str
    labels: Mapping[str, str]
    number: float


def scraped(copies: Iterable[Metrics]) -> list[Sample]:
    """What Prometheus has after it asked each of them, at an address of its own."""
    return [
        Sample(sample.name, {**sample.labels, "instance": f"host:{index}"}, sample.value)
        for index, copy in enumerate(copies)
        for family in text_string_to_metric_families(copy.exposition().decode())
        for sample in family.samples
    ]


def rings(name: str, samples: Iterable[Sample]) -> list[dict[str, str]]:
    """The labels of each alert of that name, as soon as it has lasted.

    Raises:
        ValueError: the rule is written otherwise than this can read.
    """
    (alert,) = [each for each in ALERTS if each.name == name]
    known = list(samples)
    parts = re.split(r" (and|or) (?=max|min)", alert.expr)
    found = _compare(parts[0], known)
    for joint, part in zip(parts[1::2], parts[2::2], strict=True):
        other = _compare(part, known)
        found = found & other if joint == "and" else found | other
    return [dict(each) for each in sorted(found, key=sorted)]


def _compare(text: str, samples: list[Sample]) -> set[Labels]:
    match = COMPARISON.fullmatch(text)
    if match is None:
        raise ValueError(f"not understood: {text}")
    info = {each.labels["instance"]: each.labels for each in samples
            if each.metric == "aidmesh_info"}  # fmt: skip
    pick = max if match["pick"] == "max" else min
    picked: dict[Labels, float] = {}
    for each in samples:
        wanted = match["label"] is None or each.labels.get(match["label"]) == match["value"]
        if each.metric != match["metric"] or not wanted:
            continue
        joined = {name: info[each.labels["instance"]][name] for name in _split(match["joined"])}
        labels = {**each.labels, **joined}
        key = frozenset((name, labels[name]) for name in _split(match["by"]))
        picked[key] = pick(each.number, picked.get(key, each.number))
    bound, over = float(match["number"]), match["how"] == ">"
    return {key for key, number in picked.items()
            if (number > bound if over else number == bound)}  # fmt: skip


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


async def rings_for(
    name: str, database: Database, measured: Iterable[Measured], copies: int = 2
) -> list[dict[str, str]]:
    """As `rings`, over what copies of a service measure in their database now."""
    running = [Metrics(database.origin.service, database.origin.region) for _ in range(copies)]
    async with database.read() as conn:
        for each in running:
            await Levels(each, measured).measure(conn)
    return rings(name, scraped(running))
