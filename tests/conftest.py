"""Real servers for every test that asks for one. Under pytest-xdist each worker has its own."""

import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from aidmesh.embedded.postgres import PostgresServer
from support import leftout, loglines, ordinary
from support.servers import DatabaseFactory, Databases, NatsRegion, new_postgres

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How fast a busy machine draws examples says nothing about the code."""

settings.register_profile("patient", PATIENT)
settings.load_profile("patient")
settings.register_profile("thorough", PATIENT, max_examples=1000)
"""`pytest --hypothesis-profile thorough`: many more examples, for a night."""


loglines.to_read()
gc.set_threshold(50_000, 20, 50)
"""As services do: apps and models are made by the thousand, and little of it is garbage."""

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there
MEMORY_BYTES_MIN = 8 * 1024**3

if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN:
    # Hundreds of databases are made and dropped: in files of memory that takes a tenth of the
    # processor's time. What survives a killed process does so there as well.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

ROOMS = ("e2e", "model", "integration", "contract", "unit")
"""Folders of tests, those first that hold the longest ones."""


SHARED = "tests/e2e/shared/"
"""Tests of one mesh that takes long to start."""


class FilesAndSharedMesh(LoadFileScheduling):
    """Gives out files one by one, but to one worker all those that share a mesh."""

    def _split_scope(self, nodeid: str) -> str:
        return SHARED if nodeid.startswith(SHARED) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndSharedMesh | None:
    """Who gets which tests."""
    by_file = config.getoption("dist") == "loadfile"
    return FilesAndSharedMesh(config, log) if by_file else None


class Worker(Protocol):
    """What is used of a worker of xdist."""

    config: pytest.Config


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that this machine lacks, and begin with what takes long.

    Files are given to workers in this order, so that none is alone with a long one at the end.
    """
    leftout.leave_out(config, items)
    items.sort(key=lambda item: ROOMS.index(_room(item.path)))


def _room(path: Path) -> str:
    below = path.relative_to(Path(__file__).parent).parts
    return next((room for room in ROOMS if room in below[:2]), ROOMS[-1])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Worker, error: object) -> None:
    """A worker of xdist is done."""
    leftout.hear(node.config, getattr(node, "workeroutput", {}))


def pytest_unconfigure() -> None:
    """Leave nothing behind of what was lent to other accounts."""
    ordinary.give_back()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say plainly what did not run."""
    leftout.tell(terminalreporter, config)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's PostgreSQL; `dsn("postgres")` is the superuser's. Kill it, start it again."""
    folder = tmp_path_factory.mktemp("postgres")
    server = new_postgres(folder / "data")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Iterator[Databases]:
    """Templates, made once per session."""
    databases = Databases(postgres)
    yield databases
    databases.close()


@pytest.fixture
async def database(
    databases: Databases, postgres: PostgresServer
) -> AsyncIterator[DatabaseFactory]:
    """`await database("intake")` gives the DSN of a fresh, migrated database."""
    if not postgres.alive:  # a test killed it and failed before starting it again
        postgres.start()
    yield databases.create
    await databases.drop()


@pytest.fixture
async def nats_region(tmp_path: Path) -> AsyncIterator[NatsRegion]:
    """A fresh NATS server of region kyiv with everything provisioned and an open gate."""
    region = NatsRegion(tmp_path / "nats-kyiv")
    region.start()
    await region.open()
    yield region
    await region.close()
