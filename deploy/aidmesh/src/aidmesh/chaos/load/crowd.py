"""All clients of a run: who does what, until they are told to stop."""

import asyncio
import random
from calendar import monthrange
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, cast

from aidmesh.chaos.book import Book, Json, Op, Status
from aidmesh.chaos.load.between import Liaison
from aidmesh.chaos.load.cases import Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.money import Treasury
from aidmesh.chaos.load.moving import Holder, Proposer
from aidmesh.chaos.load.onlooker import Onlooker
from aidmesh.chaos.load.paying import Cashier
from aidmesh.chaos.load.people import Desk
from aidmesh.chaos.load.planning import Planner
from aidmesh.chaos.load.stores import ROOMIER, Keeper, Trucks
from aidmesh.chaos.load.travellers import Finder, Travellers
from aidmesh.meshfile import MeshFile
from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of

AREAS: Final = ("UA80", "UA46", "UA51", "UA63", "UA59", "UA18", "UA53", "UA07")
DESKS: Final = 2
"""Caseworkers' clients per region."""
ASK_SHARE: Final = 0.35
PAUSE_S: Final = 0.2
SLOW_PAUSE_S: Final = 0.5
"""Of those who do not serve people."""
RARE_PAUSE_S: Final = 1.0
"""Of those who decide what regions do for each other."""
SET_UP_S_MAX: Final = 60.0
ANSWER_S_MAX: Final = 60.0
POLL_S: Final = 0.2

Act = Callable[[], Awaitable[None]]


class SetUpError(RuntimeError):
    """The mesh did not take what every run begins with."""


@dataclass(slots=True)
class Crowd:
    """The clients of all regions; the first has the grants, the last more room than the others.

    Attributes:
        today: the day on which it began.
        clients: of each region the one that only looks.
        set_ups: what is done before anything else.
        loops: what is done over and over, and the pause in between.
    """

    book: Book
    today: date
    clients: dict[str, Client] = field(default_factory=dict)
    loops: list[tuple[Act, float]] = field(default_factory=list)
    _all: list[Client] = field(default_factory=list)
    set_ups: list[Act] = field(default_factory=list)
    _stopped: bool = False

    async def set_up(self) -> None:
        """Lay out places, goods and money. Raises `SetUpError`."""
        await self._wait_until_linked()
        async with asyncio.TaskGroup() as tasks:
            for set_up in self.set_ups:
                tasks.create_task(_run(set_up))
        bad = [op for op in self.book.ops if op.status is not Status.ACCEPTED]
        if bad:
            raise SetUpError(f"{bad[0].region} {bad[0].path}: {bad[0].code} {bad[0].answer}")

    async def _wait_until_linked(self) -> None:
        """Until every region knows the others."""
        async with asyncio.timeout(SET_UP_S_MAX):
            for client in self.clients.values():
                while True:
                    known = await client.get("payments", "/regions", Role.FINANCE)
                    names = (known or {}).get("regions")
                    if isinstance(names, list) and set(self.clients) <= set(names):
                        break
                    await asyncio.sleep(POLL_S)

    async def work(self, seconds: float) -> None:
        """Do everything over and over."""
        self._stopped = False
        async with asyncio.TaskGroup() as tasks:
            for act, pause_s in self.loops:
                tasks.create_task(self._repeat(act, pause_s))
            await asyncio.sleep(seconds)
            self._stopped = True

    async def _repeat(self, act: Act, pause_s: float) -> None:
        while not self._stopped:
            await act()
            await asyncio.sleep(pause_s)

    async def resolve(self) -> list[Op]:
        """Send what was never answered again, with its key; returns what still is not."""
        limit = asyncio.Semaphore(4)

        async def again(op: Op) -> None:
            async with limit:
                await self.owner_of(op).send(op, ANSWER_S_MAX)

        await asyncio.gather(*(again(op) for op in self.book.unknown()))
        return self.book.unknown()

    async def people(self) -> dict[str, int | None]:
        """How many people all regions have helped this month, as each shows it; None: no answer.

        Nothing once the month in which they were is over.
        """
        now = day_of(datetime.now(UTC))
        if (now.year, now.month) != (self.today.year, self.today.month):
            return {}
        last = now.replace(day=monthrange(now.year, now.month)[1])
        month = {"from": now.replace(day=1).isoformat(), "to": last.isoformat()}
        found: dict[str, int | None] = {}
        for region, client in self.clients.items():
            shown = await client.get("reporting", "/results", Role.LEAD, month)
            found[region] = None if shown is None else _total(shown)
        return found

    def owner_of(self, op: Op) -> Client:
        """Who may send it again: the key counts for the one who used it."""
        return next(client for client in self._all if client.sent(op))

    async def close(self) -> None:
        """Let go of all connections."""
        for client in self._all:
            await client.close()

    def new_client(self, region: str, mesh: MeshFile) -> Client:
        """One more client of a region."""
        client = Client(region, mesh.regions[region], self.book)
        self._all.append(client)
        return client


def crowd_of(mesh: MeshFile, seed: int) -> Crowd:
    """Put the clients of a run together; what they do is drawn from the seed."""
    today = day_of(datetime.now(UTC))
    crowd = Crowd(Book(), today)
    names = list(mesh.regions)
    areas: Mapping[str, str] = dict(zip(names, AREAS, strict=False))
    travellers = Travellers()
    trucks: Trucks = {}
    regions = [
        Region(
            name,
            areas[name],
            {peer: areas[peer] for peer in names if peer != name},
            tuple(ROOMIER if peer == names[-1] else 1 for peer in names if peer != name),
            today,
            travellers,
            roomy=name == names[-1],
        )
        for name in names
    ]

    def rng(who: str) -> random.Random:
        return random.Random(f"{seed}/{who}")  # noqa: S311 - it has to be repeatable

    for region in regions:
        name = region.name
        crowd.clients[name] = crowd.new_client(name, mesh)
        keeper = Keeper(crowd.new_client(name, mesh), region, trucks, rng(f"{name}/keeper"))
        cashier = Cashier(
            crowd.new_client(name, mesh), region, rng(f"{name}/cashier"), f"{name}-cash"
        )
        liaison = Liaison(crowd.new_client(name, mesh), region, rng(f"{name}/liaison"))
        crowd.set_ups.append(keeper.set_up)
        finder = Finder(crowd.new_client(name, mesh), name, travellers, rng(f"{name}/finder"))
        for act in (keeper.act, cashier.act, liaison.act, finder.act):
            crowd.loops.append((act, SLOW_PAUSE_S))
        planner = Planner(crowd.new_client(name, mesh), region, rng(f"{name}/planner"))
        holder = Holder(crowd.new_client(name, mesh), rng(f"{name}/holder"))
        onlooker = Onlooker(crowd.new_client(name, mesh), rng(f"{name}/onlooker"))
        for act in (planner.act, holder.act, onlooker.act):
            crowd.loops.append((act, RARE_PAUSE_S))
        for no in range(DESKS):
            who = f"{name}-{no}"
            desk = Desk(crowd.new_client(name, mesh), region, rng(who), who)
            crowd.loops.append((_either(desk, rng(f"{who}/turn")), PAUSE_S))
    treasury = Treasury(crowd.new_client(names[0], mesh), regions, rng("treasury"))
    crowd.set_ups.append(lambda: treasury.set_up(names[:2]))
    crowd.loops.append((treasury.act, SLOW_PAUSE_S))
    proposer = Proposer(crowd.new_client(names[0], mesh), names, rng("proposer"))
    crowd.loops.append((proposer.act, RARE_PAUSE_S))
    return crowd


def _either(desk: Desk, rng: random.Random) -> Act:
    async def act() -> None:
        if not await desk.begin():
            await (desk.ask() if rng.random() < ASK_SHARE else desk.go_on())

    return act


async def _run(act: Act) -> None:
    await act()


def _total(results: Json) -> int | None:
    whole = cast("Json", results["whole"])
    total = cast("Json", whole["total"])
    people = total["people"]
    return people if isinstance(people, int) else None
