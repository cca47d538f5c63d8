"""What all services' HTTP APIs are built with."""

from pathlib import Path

import pytest

from aidmesh_chassis.keys import create_region_keys


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a region."""
    folder = tmp_path_factory.mktemp("region") / "keys"
    create_region_keys(folder)
    return folder
