"""The databases of a mesh that a story is read from, as far as they answer."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg

from aidmesh.asking import AWAY
from aidmesh.connecting import close_database
from aidmesh.meshfile import WITH_DATABASE, MeshFile

STATEMENT_S_MAX: Final = 60.0

Place = tuple[str, str]
"""A region and a service of it."""

TELLS: Final[Mapping[str, str]] = {
    "intake": "requests, needs, referrals and how they stand may be missing here; of what others "
    "say no details are shown, for it may be sensitive",
    "inventory": "what was set aside, handed out, moved or sent may be missing here",
    "payments": "what was committed, paid, granted or allotted may be missing here",
    "notification": "messages may be missing here",
    "reporting": "whether results count it is missing here",
}
"""What of a story lies in a service's database, for where that does not answer."""


class Databases:
    """Those of a mesh that answer. One that does not is asked no more.

    Attributes:
        silent: by whose they are, why the others said nothing.
    """

    def __init__(self) -> None:
        """None was asked."""
        self._opened: dict[Place, asyncpg.Connection] = {}
        self.silent: dict[Place, str] = {}

    @property
    def places(self) -> list[Place]:
        """Whose they are."""
        return [place for place in self._opened if place not in self.silent]

    @property
    def regions(self) -> list[str]:
        """The regions of which at least one answers."""
        return list(dict.fromkeys(region for region, _ in self.places))

    async def ask(self, place: Place, query: str, *args: object) -> list[asyncpg.Record]:
        """The rows of a query; none of a database that does not answer."""
        if place in self.silent:
            return []
        try:
            found: list[asyncpg.Record] = await self._opened[place].fetch(query, *args)
        except AWAY as error:
            self.silent[place] = type(error).__name__
            return []
        return found

    async def open(self, mesh: MeshFile, stack: AsyncExitStack) -> None:
        """Connect with all at once, until the stack ends."""

        async def connect(place: Place) -> asyncpg.Connection | None:
            region, service = place
            dsn = mesh.regions[region].admin_dsn(service)
            try:
                conn = await asyncpg.connect(dsn, timeout=10, command_timeout=STATEMENT_S_MAX)
            except AWAY as error:
                self.silent[place] = type(error).__name__
                return None
            stack.push_async_callback(close_database, conn)
            return conn

        # In one order, whoever answered first: a story reads the same each time.
        places = [(region, service) for region in mesh.regions for service in WITH_DATABASE]
        found = await asyncio.gather(*map(connect, places))
        self._opened = {
            place: conn for place, conn in zip(places, found, strict=True) if conn is not None
        }


@asynccontextmanager
async def databases_of(mesh: MeshFile) -> AsyncIterator[Databases]:
    """Those of a mesh, while a story is read."""
    async with AsyncExitStack() as stack:
        databases = Databases()
        await databases.open(mesh, stack)
        yield databases


def unheard(silent: Mapping[Place, str], regions: Collection[str]) -> list[str]:
    """What is said of databases that did not answer, and what is missing by that. Pure.

    Args:
        silent: by whose they are, why they said nothing.
        regions: those of which others answer.
    """
    whole: dict[str, dict[str, None]] = {}
    for (region, _), why in sorted(silent.items()):
        if region not in regions:
            whole.setdefault(region, {})[why] = None
    return [
        *(
            f"the databases of {region} do not answer ({', '.join(why)}): what it knows is missing "
            "here"
            for region, why in whole.items()
        ),
        *(
            f"{region}: the database of {service} could not be asked ({why}): {TELLS[service]} "
            "(aidmesh doctor)"
            for (region, service), why in sorted(silent.items())
            if region in regions
        ),
    ]
