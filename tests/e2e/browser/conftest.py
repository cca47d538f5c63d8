"""Tests in a real browser. Without one they do not run, and the summary says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aidmesh_chassis.auth import Role
from support.browser import NAMES, REQUIRE, chromium, required, served
from support.desk import FakeDesk, fake_desk

_LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a browser where there is none, unless one is required."""
    if required() or chromium() is not None:
        return
    wanting = [item for item in items if item.get_closest_marker("browser")]
    if wanting:
        config.stash[_LEFT_OUT] = [item.nodeid for item in wanting]
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if not item.get_closest_marker("browser")]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say plainly what did not run."""
    left_out = config.stash.get(_LEFT_OUT, [])
    if left_out:
        terminalreporter.write_line(
            f"NOT RUN: {len(left_out)} browser tests, because none of {', '.join(NAMES)} is on "
            f"PATH (with {REQUIRE}=1 they fail instead):",
            yellow=True,
        )
        for nodeid in left_out:
            terminalreporter.write_line(f"  {nodeid}")


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    """A desk with made-up services."""
    return fake_desk(tmp_path)


@pytest.fixture
def address(desk: FakeDesk) -> Iterator[str]:
    """Where that desk answers."""
    with served(desk) as url:
        yield url


@pytest.fixture
def token(desk: FakeDesk) -> str:
    """A token of a program lead, who sees every page."""
    return desk.token([Role.LEAD])
