"""End-to-end tests wait for whole regions."""

import pytest

TEST_S_MAX = 300


def pytest_itemcollected(item: pytest.Item) -> None:
    """Starting a mesh takes a while on a machine with other work, too."""
    if item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(TEST_S_MAX))
