"""What a service is made of: its `app.build()` puts it together, `running` keeps it going."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import FastAPI

from aidmesh_chassis import outbox
from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.db import Database
from aidmesh_chassis.metrics import Measured
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.settings import ServiceSettings, SettingsRefused
from aidmesh_chassis.upkeep import Sweep

if TYPE_CHECKING:
    from aidmesh_chassis.running import Running


class Health:
    """What `/readyz` asks. Made before the app, filled in by the running service."""

    def __init__(self) -> None:
        self._running: Running | None = None

    def attach(self, running: "Running") -> None:
        """Answer for this running service from now on."""
        self._running = running

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Checks by name; each raises when something is wrong."""
        return {
            "database": self._database,
            "broker": self._broker,
            "consumers": self._consumers,
            "outbox": self._outbox,
        }

    def _get(self) -> "Running":
        if self._running is None:
            raise ConnectionError("still starting")
        return self._running

    async def _database(self) -> None:
        await self._get().check_database()

    async def _broker(self) -> None:
        self._get().check_broker()

    async def _consumers(self) -> None:
        await self._get().check_consumers()

    async def _outbox(self) -> None:
        await self._get().check_outbox()


@dataclass(slots=True)
class Service:
    """One service, put together by its `app.build()`.

    Attributes:
        database: None for one that holds no truth.
        subscriptions: at most one per stream; they match the contracts.
        tasks: further work for as long as the service runs, by name.
        peers: who of the other regions is heard; the running service keeps it up to date.
        measured: gauges that its database is asked for.
    """

    name: str
    settings: ServiceSettings
    database: Database | None
    app: FastAPI
    health: Health
    subscriptions: Sequence[Subscription] = ()
    sweeps: Sequence[Sweep] = ()
    tasks: Mapping[str, Callable[[], Coroutine[None, None, None]]] = field(default_factory=dict)
    peers: Peers | None = None
    measured: Sequence[Measured] = ()


def open_database(name: str, settings: ServiceSettings) -> Database:
    """Return the (still closed) database of a service.

    Raises:
        SettingsRefused: its settings name none.
    """
    if settings.database_url is None:
        raise SettingsRefused({f"AIDMESH_{name.upper()}_DATABASE_URL": "Field required"})
    return Database(
        settings.database_url.get_secret_value(),
        outbox.Origin(settings.region, name),
        pool_max=settings.pool_max,
        pooler=settings.pooler,
        password_file=settings.database_password_file,
    )
