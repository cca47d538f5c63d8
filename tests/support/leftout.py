"""Tests that cannot run on a machine: left out, and said plainly at the end, also by xdist."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from support import ordinary as others
from support.browser import NAMES, REQUIRE, chromium, required

_KEY: Final = pytest.StashKey[dict[str, list[str]]]()
_SENT: Final = "aidmesh_left_out"
LACKING: Final[Mapping[str, tuple[Callable[[], bool], str]]] = {
    "browser": (
        lambda: chromium() is None and not required(),
        (
            f"browser tests, because none of {', '.join(NAMES)} is on PATH (with {REQUIRE}=1 they "
            "fail instead)"
        ),
    ),
    "ordinary": (
        lambda: others.ordinary() is None and not others.required(),
        (
            "tests of an ordinary user, because these run as root and nobody else can be made to "
            f"run this Python, nor another of its version (with {others.REQUIRE}=1 they fail "
            "instead)"
        ),
    ),
}
"""By marker: whether what such tests need is lacking, and what to say then."""


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out of `items` what needs something that is not here."""
    left_out = config.stash.setdefault(_KEY, {})
    for marker, (lacks, _) in LACKING.items():
        wanting = [item for item in items if item.get_closest_marker(marker)]
        if wanting and lacks():
            left_out[marker] = [item.nodeid for item in wanting]
            config.hook.pytest_deselected(items=wanting)
            items[:] = [item for item in items if item not in wanting]
    sent = getattr(config, "workeroutput", None)
    if sent is not None:  # a worker of xdist, whose own summary nobody sees
        sent[_SENT] = left_out


def hear(config: pytest.Config, sent: Mapping[str, object]) -> None:
    """Take in what a worker left out; every worker collects the same."""
    found = sent.get(_SENT)
    if isinstance(found, dict):
        config.stash.setdefault(_KEY, {}).update(found)


def tell(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what did not run, and why."""
    for marker, nodeids in config.stash.get(_KEY, {}).items():
        reporter.write_line(f"NOT RUN: {len(nodeids)} {LACKING[marker][1]}:", yellow=True)
        for nodeid in nodeids:
            reporter.write_line(f"  {nodeid}")
