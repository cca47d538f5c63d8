"""One mesh for all of these tests; they share it and must not mind each other."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.running import RunningMesh, Staff


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two regions, each with everything, started by the operators' command."""
    running = RunningMesh(tmp_path_factory.mktemp("mesh"), "kyiv,lviv")
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def kyiv(mesh: RunningMesh) -> AsyncIterator[Staff]:
    """The staff in Kyiv."""
    staff = mesh.staff("kyiv")
    yield staff
    await staff.close()


@pytest.fixture
async def lviv(mesh: RunningMesh) -> AsyncIterator[Staff]:
    """The staff in Lviv."""
    staff = mesh.staff("lviv")
    yield staff
    await staff.close()
