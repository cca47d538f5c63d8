"""Several whole regions in this process: real servers, all services, links that tests can cut.

Every service runs as in production (its own pool, connection and port), so a test works through
HTTP and looks into databases only to see what nobody is shown.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aidmesh.embedded.ports import free_ports
from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.running import Running
from aidmesh_chassis.service import Service
from aidmesh_intake.app import build as build_intake
from aidmesh_intake.config import Settings as IntakeSettings
from aidmesh_inventory.app import build as build_inventory
from aidmesh_inventory.config import Settings as InventorySettings
from aidmesh_notification.app import build as build_notification
from aidmesh_notification.config import Settings as NotificationSettings
from aidmesh_payments.app import build as build_payments
from aidmesh_payments.config import Settings as PaymentsSettings
from aidmesh_reporting.app import build as build_reporting
from aidmesh_reporting.config import Settings as ReportingSettings
from support.regions import LinkedRegions, linked_regions
from support.running import Staff
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open
from support.waiting import eventually

ALL = ("intake", "inventory", "payments", "notification", "reporting")
READY_S_MAX = 30.0
RESTART_S = 0.5


@dataclass(slots=True)
class RunningRegion:
    """One region: its server, what its staff can do, its databases and services by name."""

    nats: NatsRegion
    staff: Staff
    dsns: Mapping[str, str]
    services: dict[str, Service]
    build: Callable[[str], Service]

    async def keep_running(self, name: str) -> None:
        """Run a service, and make it anew when it ends by itself, as a supervisor does."""
        while True:
            try:
                await Running(self.services[name]).run()
            except* RuntimeError:
                await asyncio.sleep(RESTART_S)
                self.services[name] = self.build(name)


@dataclass(slots=True)
class RunningRegions:
    """Regions by name; `links` has the cables between them."""

    links: LinkedRegions
    regions: Mapping[str, RunningRegion]

    def __getitem__(self, name: str) -> RunningRegion:
        return self.regions[name]

    async def cut(self, name: str) -> None:
        """Cut a region off from all others."""
        for pair, cable in self.links.cables.items():
            if name in pair:
                await cable.cut()

    async def heal(self) -> None:
        """Connect every cable that is cut."""
        for cable in self.links.cables.values():
            cable.heal()


@asynccontextmanager
async def running_regions(
    folder: Path,
    database: DatabaseFactory,
    names: Sequence[str] = ("kyiv", "lviv"),
    services: Sequence[str] = ALL,
    *,
    pooler: bool = False,
) -> AsyncIterator[RunningRegions]:
    """Start regions with these services, linked with each other; stopped at the end.

    Behind a `pooler` what looks into the outboxes from outside passes through it as well.
    """
    dsns = {name: {each: await database(each) for each in services} for name in names}
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(
            linked_regions(
                folder, names, {name: list(of_region.values()) for name, of_region in dsns.items()}
            )
        )
        regions = {}
        for name in names:
            region = _region(folder / name, links.regions[name], dsns[name], pooler=pooler)
            regions[name] = region
            stack.push_async_callback(region.staff.close)
            for each in region.services:
                running = asyncio.create_task(region.keep_running(each))
                stack.push_async_callback(_stop, running)
        for region in regions.values():
            for service in region.services.values():
                assert service.database is not None
                database_of = service.database
                await eventually(lambda opened=database_of: is_open(opened), READY_S_MAX)
        yield RunningRegions(links, regions)


def _region(
    folder: Path, nats: NatsRegion, dsns: Mapping[str, str], *, pooler: bool = False
) -> RunningRegion:
    keys = folder / "keys"
    create_region_keys(keys)
    ports = dict(zip(dsns, free_ports(len(dsns)), strict=True))

    def build(name: str) -> Service:
        return BUILDERS[name](
            {
                "region": nats.region,
                "database_url": dsns[name],
                "pooler": pooler,
                "nats_url": nats.url,
                "nats_seed_file": nats.seed_file(name),
                "http_port": ports[name],
                "keys_dir": keys,
                **({"spool_path": folder / "spool"} if name == "notification" else {}),
            }
        )

    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    services = {name: build(name) for name in dsns}
    return RunningRegion(nats, Staff(nats.region, keys, urls), dsns, services, build)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


BUILDERS: Mapping[str, Callable[[dict[str, object]], Service]] = {
    "intake": lambda given: build_intake(IntakeSettings.model_validate(given)),
    "inventory": lambda given: build_inventory(InventorySettings.model_validate(given)),
    "payments": lambda given: build_payments(PaymentsSettings.model_validate(given)),
    "notification": lambda given: build_notification(NotificationSettings.model_validate(given)),
    "reporting": lambda given: build_reporting(ReportingSettings.model_validate(given)),
}
