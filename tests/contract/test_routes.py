"""Routes are completed when they are first asked for; so all of them are asked for here."""

from pathlib import Path

import pytest

from aidmesh_chassis.routing import LateRoute
from support.apps import SERVICES, app_of


@pytest.mark.parametrize("name", [*SERVICES, "console"])
def test_every_route_can_be_completed(name: str, keys_dir: Path) -> None:
    routes = [each for each in app_of(name, keys_dir).routes if isinstance(each, LateRoute)]

    assert routes
    assert [each.path for each in routes if each.dependant.call is not each.endpoint] == []
