"""A region for each file, and an empty one for each play."""

import asyncio
from collections.abc import Iterator

import pytest

from integration.model.plays import Play
from integration.model.stage import Stage
from integration.model.town import open_town
from support.servers import Databases


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Whoever plays on it empties it first."""
    with asyncio.Runner() as runner:
        town = runner.run(open_town(databases.create, tmp_path_factory.mktemp("town")))
        yield Stage(runner, town)
        runner.run(town.close())
        runner.run(databases.drop())


@pytest.fixture
def play(stage: Stage) -> Play:
    """An empty region."""
    return Play(stage)
