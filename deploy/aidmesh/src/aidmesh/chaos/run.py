"""One run: a mesh of its own, load, faults, healing, rest, judgement."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from aidmesh.chaos.judge import REST_S_MAX, counted, judge
from aidmesh.chaos.load.crowd import Crowd, crowd_of
from aidmesh.chaos.mesh_process import Order
from aidmesh.chaos.nemesis import Injected, Nemesis
from aidmesh.chaos.plan import NATS, POSTGRES, plan_of
from aidmesh.chaos.probes import answering
from aidmesh.chaos.recovery import RECOVERY_S_MAX, Watch, until
from aidmesh.chaos.report import Report
from aidmesh.chaos.road import Road
from aidmesh.chaos.supervisor import Supervisor, supervised
from aidmesh.chaos.trace import traced
from aidmesh.chaos.violation import Violation
from aidmesh.chaos.waiting import waiting_in_one
from aidmesh.credentials import create_keys
from aidmesh.embedded.ports import free_ports
from aidmesh.meshfile import WITH_DATABASE
from aidmesh.preparing import prepare_mesh
from aidmesh.topology.config import dials
from aidmesh_chassis import logs

REGIONS: Final = ("kyiv", "lviv", "odesa")
SERVICES: Final = WITH_DATABASE
"""The desk has nothing to lose; the load comes through the API."""
PARTS: Final = (*SERVICES, NATS, POSTGRES)
WHOLE_S_MAX: Final = 120.0
POLL_S: Final = 0.2


@dataclass(slots=True)
class Played:
    """A run whose faults are over and healed; the mesh still runs.

    Attributes:
        spool: file to which all messages went.
        down: what did not come back; then nothing else can be judged.
    """

    mesh: Supervisor
    crowd: Crowd
    faults: list[Injected]
    spool: Path
    seed: int
    seconds: float
    down: list[Violation]

    async def report(self, *, rest_s_max: float = REST_S_MAX) -> Report:
        """Judge the mesh as it is now.

        Args:
            rest_s_max: how long it may take until everything fits.
        """
        file = self.mesh.file
        violations = self.down + not_recovered(self.faults)
        if violations:
            async with answering(file) as (probes, silent):
                violations = await traced(violations, probes, silent)
        if not self.down:
            await self.crowd.resolve()
            violations += await judge(
                self.mesh.data,
                file,
                self.crowd.book,
                self.spool,
                self.crowd.people,
                rest_s_max=rest_s_max,
            )
        return Report(
            self.seed,
            self.seconds,
            tuple(self.mesh.file.regions),
            tuple(self.faults),
            counted(self.crowd.book),
            tuple(violations),
        )


def not_recovered(faults: Sequence[Injected]) -> list[Violation]:
    """The faults from which a region did not recover, with what waited there. Pure."""
    return [
        Violation(
            f"a region recovers within {RECOVERY_S_MAX:.0f} s",
            each.fault.region,
            f"not after fault {each.fault.no}: {each.fault.kind} {each.fault.part}"
            f" (waited, in seconds: {dict(each.recovery.waited_s)})",
            each.recovery.waiting,
            note=each.recovery.note,
        )
        for each in faults
        if each.missed is None and each.recovered_s is None
    ]


def settings_of_a_run(data: Path) -> dict[str, str]:
    """What the services of a run read from the environment.

    Every message goes to one file, and a run of minutes may ask about as many people as days do.
    """
    return {
        "AIDMESH_NOTIFICATION_SPOOL_PATH": str(data / "phone.jsonl"),
        "AIDMESH_NOTIFICATION_SPOOL_FOR": '["sms", "email"]',
        "AIDMESH_NOTIFICATION_OFFER_MS_MAX": "1000",
        "AIDMESH_NOTIFICATION_SEND_MS_MAX": "1000",
        "AIDMESH_INTAKE_LOOKUPS_DAY_MAX": "1000",
        "AIDMESH_INTAKE_LOOKUPS_ALL_DAY_MAX": "5000",
    }


@asynccontextmanager
async def playing(
    data: Path,
    seconds: float,
    seed: int,
    *,
    regions: tuple[str, ...] = REGIONS,
    say: Callable[[str], None] = print,
) -> AsyncIterator[Played]:
    """Start a mesh in an empty folder, have it used and broken, heal it, and yield.

    Args:
        seconds: of load and faults.
        say: gets lines for a person.

    Raises:
        StartError, MeshError: it does not start.
        SetUpError: it does not take what every run begins with.
    """
    keys = {region: data / "keys" / region for region in regions}
    for folder in keys.values():
        create_keys(folder)
    async with AsyncExitStack() as stack:
        stack.enter_context(_settings(settings_of_a_run(data)))
        log = stack.enter_context((data / "chaos.log").open("a", encoding="utf-8"))
        logs.configure("chaos", "all", stream=log)  # clients that lose their server are no news
        roads = await _roads(data, regions, keys, stack)
        say(f"Starting {', '.join(regions)} …")
        mesh = await stack.enter_async_context(
            supervised(
                Order(
                    data=data,
                    keys=keys,
                    services=SERVICES,
                    roads=tuple((*pair, road.port) for pair, road in roads.items()),
                )
            )
        )
        crowd = crowd_of(mesh.file, seed)
        stack.push_async_callback(crowd.close)
        await crowd.set_up()
        say(f"Load and faults for {seconds:.0f} s")
        nemesis = Nemesis(
            mesh,
            {tuple(sorted(pair)): road for pair, road in roads.items()},
            plan_of(seed, regions, SERVICES, seconds),
            Watch(mesh, crowd.clients),
            say,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(nemesis.run())
                tasks.create_task(crowd.work(seconds))
        finally:
            nemesis.let_go()
        say("Healed; waiting for quiet")
        down = await _down(mesh, nemesis)
        yield Played(mesh, crowd, nemesis.done, data / "phone.jsonl", seed, seconds, down)


@contextmanager
def _settings(settings: Mapping[str, str]) -> Iterator[None]:
    """Have processes that are started meanwhile read these from the environment."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ |= settings
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def _roads(
    data: Path, regions: tuple[str, ...], keys: dict[str, Path], stack: AsyncExitStack
) -> dict[tuple[str, str], Road]:
    """A road for each link, by who dials and who listens; ports are known from here on."""
    file, _ = prepare_mesh(data, regions, keys)
    pairs = [(one, other) for one in regions for other in regions if one > other]
    pairs = [pair if dials(*pair) else (pair[1], pair[0]) for pair in pairs]
    roads = {}
    for pair, port in zip(pairs, free_ports(len(pairs)), strict=True):
        roads[pair] = Road(port, file.regions[pair[1]].nats.leaf_port)
        await roads[pair].open()
        stack.push_async_callback(roads[pair].close)
    return roads


async def _down(mesh: Supervisor, nemesis: Nemesis) -> list[Violation]:
    """Wait until every part runs and says that it is ready; what does not, in the end."""
    down = []
    for region, client in nemesis.watch.clients.items():
        try:
            async with asyncio.timeout(WHOLE_S_MAX):
                await nemesis.heal_events()
                await until(partial(_all_run, mesh, region), POLL_S)
                await until(client.is_ready, POLL_S)
        except TimeoutError:
            missing = ", ".join(sorted(set(PARTS) - set(mesh.pids(region)))) or "not ready"
            waiting, note = await waiting_in_one(mesh.file, region)
            promise = "everything runs again"
            down.append(Violation(promise, region, missing, waiting, note=note))
    return down


async def _all_run(mesh: Supervisor, region: str) -> bool:
    return set(mesh.pids(region)) >= set(PARTS)
