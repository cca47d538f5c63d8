"""Tests in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aidmesh_chassis.auth import Role
from support.browser import served
from support.desk import FakeDesk, fake_desk


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
