"""What the services and servers of a region run with, from the mesh file and its keys."""

from collections.abc import Mapping
from pathlib import Path

from aidmesh import passwords
from aidmesh.credentials import is_encrypted, seed_file
from aidmesh.embedded.ports import HOST
from aidmesh.meshfile import WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.topology.serving import PeerEnd, Ports, Setup, read_setup
from aidmesh_chassis.erasures import FILE as ERASURES

NO_ROADS: Mapping[tuple[str, str], int] = {}


def nth(name: str, index: int) -> str:
    """The name of a part of which there may be several; the first has the plain one."""
    return f"{name}-{index + 1}" if index else name


def service_environment(
    region: str, entry: RegionEntry, index: int = 0, folder: Path | None = None
) -> dict[str, str]:
    """The settings of a region's services.

    Args:
        region: its name.
        entry: where everything is.
        index: which copy of each service, from 0 on.
        folder: the region's data folder, with passwords that may be replaced.
    """
    environment: dict[str, str] = {}
    for name, service in entry.services.items():
        if index >= len(service.urls):
            continue
        port = int(service.urls[index].rpartition(":")[2])
        fields = service_settings(
            region, entry, name, entry.keys, listen=(service.host, port), index=index
        )
        if folder is not None and name in WITH_DATABASE:
            fields["DATABASE_PASSWORD_FILE"] = str(passwords.file_of(folder, name))
        if name == "intake":
            fields["ERASURES_FILE"] = str(entry.keys / ERASURES)
        environment |= {f"AIDMESH_{name.upper()}_{field}": value for field, value in fields.items()}
    return environment


def service_settings(
    region: str,
    entry: RegionEntry,
    name: str,
    keys: Path,
    *,
    listen: tuple[str, int],
    index: int = 0,
) -> dict[str, str]:
    """The settings of one service, by the name of the field.

    Args:
        region: its name.
        entry: where its servers and services are.
        name: of the service.
        keys: the folder of keys, as the service sees it.
        listen: host and port.
        index: which copy of it, from 0 on.
    """
    service = entry.services[name]
    fields = {
        "REGION": region,
        "HTTP_HOST": listen[0],
        "HTTP_PORT": str(listen[1]),
        "KEYS_DIR": str(keys),
        **({"INSTANCE": str(index + 1)} if service.replica_ports else {}),
    }
    if service.database_password is not None:
        fields["DATABASE_URL"] = entry.dsn(name)
        fields["NATS_URL"] = entry.nats.url
        fields["NATS_SEED_FILE"] = str(seed_file(keys, name))
    if name == "console":
        fields |= {
            f"{other.upper()}_URL": entry.services[other].urls[index]
            for other in entry.services
            if other != name
        }
    return fields


def server_setup(
    region: str,
    mesh: MeshFile,
    folder: Path,
    roads: Mapping[tuple[str, str], int] = NO_ROADS,
    index: int = 0,
) -> Setup:
    """What a server of one of a mesh's regions is to run with now.

    Args:
        region: which.
        mesh: all regions of the data folder.
        folder: the region's own part of it.
        roads: the port through which a region (the first) dials another (the second), where that
            is not the other's own.
        index: which of its servers, from 0 on.

    Raises CredentialsError or OSError when a key cannot be read.
    """
    entry = mesh.regions[region]
    node, name = entry.nats.nodes[index], nth("nats", index)
    return read_setup(
        region,
        entry.keys,
        folder / name,
        Ports(
            node.client_port,
            node.monitor_port,
            node.leaf_port,
            entry.nats.leaf_host,
            number=index + 1,
            routes=entry.nats.routes,
        ),
        {
            peer: PeerEnd(mesh.keys_of(region, peer), _dialed(mesh, region, peer, roads))
            for peer in mesh.peers(region)
        },
        encrypted=is_encrypted(region, entry.keys, entry.nats.store_key_id),
        log_file=folder / "log" / f"{name}.log",
    )


def _dialed(
    mesh: MeshFile, region: str, peer: str, roads: Mapping[tuple[str, str], int]
) -> str | None:
    """Where a region dials a peer: through a road if there is one; None where the peer does."""
    dial = mesh.dial(region, peer)
    road = roads.get((region, peer))
    return dial if dial is None or road is None else f"{HOST}:{road}"
