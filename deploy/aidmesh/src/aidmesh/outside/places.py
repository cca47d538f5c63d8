"""Where everything is in a region of containers.

All of it lies in volumes, and each is mounted by those alone who need it:

    data        mesh.json                                       the supervisor
    keys        the region's folder of keys                     the supervisor
    out/<who>   what one service or server is handed of these   the supervisor, and that one

Services see theirs at `SECRETS`, NATS sees its own where the supervisor does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aidmesh.meshfile import (
    SERVICES,
    WITH_DATABASE,
    NatsEntry,
    PostgresEntry,
    RegionEntry,
    ServiceEntry,
    new_password,
)
from aidmesh.topology.cluster import ANY_HOST, CLIENT_PORT, LEAF_PORT, MONITOR_PORT

ROOT: Final = Path("/aidmesh")
SECRETS: Final = ROOT / "secrets"
"""Where a service sees what it was handed."""

POSTGRES_PORT: Final = 5432
HTTP_PORT: Final = 8000


@dataclass(frozen=True, slots=True)
class Places:
    """The volumes, as the supervisor sees them; `store` is where NATS sees the one for streams."""

    data: Path = ROOT / "data"
    keys: Path = ROOT / "keys"
    out: Path = ROOT / "out"
    store: Path = ROOT / "store"

    @property
    def nats(self) -> Path:
        """Where the configuration of the NATS server lies."""
        return self.out / "nats"


def new_entry(region: str, places: Places) -> RegionEntry:
    """A region with new passwords; hosts are the names of services in compose.yaml.

    The name of the NATS server has the region's in it: it is the one that other regions see.
    """
    return RegionEntry(
        keys=places.keys / region,
        postgres=PostgresEntry(host="postgres", port=POSTGRES_PORT, password=new_password()),
        nats=NatsEntry(
            host=f"nats-{region}",
            folder=places.nats,
            client_port=CLIENT_PORT,
            monitor_port=MONITOR_PORT,
            leaf_port=LEAF_PORT,
            leaf_host=ANY_HOST,
        ),
        services={
            name: ServiceEntry(
                host=name,
                http_port=HTTP_PORT,
                database_password=new_password() if name in WITH_DATABASE else None,
            )
            for name in SERVICES
        },
    )
