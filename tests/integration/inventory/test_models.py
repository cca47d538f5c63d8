"""Stock and beds against simple models: whatever happens in whatever order, the books hold.

The machines drive the real handlers on a real database.
"""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from integration.inventory.bed_model import BedMachine
from integration.inventory.machine import Machine
from integration.inventory.stock_model import StockMachine
from integration.inventory.world import World
from support.servers import Databases


@pytest.fixture
def machine_world(databases: Databases) -> Iterator[None]:
    """One database and one loop for all runs of a machine."""
    with asyncio.Runner() as runner:
        database = Database(runner.run(databases.create("inventory")), Origin("kyiv", "inventory"))
        runner.run(database.open())
        Machine.runner, Machine.world = runner, World(database)
        yield
        runner.run(database.close())
        runner.run(databases.drop())


@pytest.mark.usefixtures("machine_world")
@pytest.mark.parametrize("machine", [StockMachine, BedMachine])
def test_the_books_follow_the_model(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
