"""Writes down where the servers of a region are that run on several machines.

The folder then has all that is needed to look at the region and to mend what is stuck, from any
machine that reaches it:

    mesh.json              servers, services and databases, with the passwords of these
    keys/<region>/nats/    the reader's key, and what vouches for the servers' certificates

It can be copied as it is. Who has it may read whatever the databases hold unsealed, and change it;
no key that opens personal data, or publishes anything, is in it.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aidmesh.credentials import FOLDER, CredentialsError
from aidmesh.meshfile import (
    NAME,
    WITH_DATABASE,
    Elsewhere,
    MeshError,
    MeshFile,
    NatsEntry,
    NodeEntry,
    RegionEntry,
    ServiceEntry,
    check_not_retired,
    locked_mesh,
    read_mesh,
    write_mesh,
)
from aidmesh.topology.cluster import ANY_HOST, CLIENT_PORT, LEAF_PORT, MONITOR_PORT, Cluster
from aidmesh.topology.rights import READER

KEYS: Final = Path("keys")
"""Below the folder, which may be carried to another machine."""

AUTHORITY: Final = "ca.pem"
NEEDED: Final = (f"{READER}.nk", AUTHORITY)


@dataclass(frozen=True, slots=True)
class Described:
    """What is said of a region. What is left empty, or None, stays as it was said before.

    Attributes:
        cluster: its servers, its keys, and the regions that it is linked with.
        databases: URL by service, as the role that owns it, past any pooler.
        services: the URL of each copy, by service.
        epoch: of the region.
    """

    cluster: Cluster
    databases: Mapping[str, str]
    services: Mapping[str, Sequence[str]]
    epoch: int | None = None


def describe(data: Path, wanted: Described) -> Path:
    """Write it down in a folder, beside other regions that are described there.

    Returns `mesh.json`.

    Raises:
        MeshError: the folder is of regions that run here, or of others that this one is not linked
            with; or something was never said.
        OSError: the folder can't be written.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked_mesh(data):
        mesh = read_mesh(data) if (data / NAME).exists() else MeshFile(regions={})
        _describe(data, mesh, wanted)
        _hand_over(data, wanted.cluster)
        write_mesh(data, mesh)
    return data / NAME


def _describe(data: Path, mesh: MeshFile, wanted: Described) -> None:
    region, peers = wanted.cluster.region, wanted.cluster.peers
    check_not_retired(mesh, region)
    if ours := sorted(name for name, each in mesh.regions.items() if not each.is_elsewhere):
        raise MeshError(f"{data} is where {', '.join(ours)} runs; name another folder")
    if strangers := sorted(set(mesh.regions) - {region} - set(peers)):
        raise MeshError(
            f"{data} describes {', '.join(strangers)} too, with which {region} is not linked: "
            "name it with --peer, or another folder"
        )
    mesh.regions[region] = _entry(mesh.regions.get(region), wanted)
    mesh.elsewhere = {
        name: Elsewhere(address=address)
        for name, address in peers.items()
        if name not in mesh.regions
    }
    for name, entry in mesh.regions.items():
        entry.keys = KEYS / name
        entry.nats.ca_file = KEYS / name / FOLDER / AUTHORITY


def _entry(before: RegionEntry | None, wanted: Described) -> RegionEntry:
    known = {} if before is None else before.services
    urls = {
        name: list(wanted.services.get(name) or (known[name].addresses if name in known else ()))
        for name in (*WITH_DATABASE, *sorted({*known, *wanted.services} - set(WITH_DATABASE)))
    }
    dsns = {
        name: wanted.databases.get(name) or (known[name].database_url if name in known else None)
        for name in WITH_DATABASE
    }
    if unknown := [name for name, each in urls.items() if not each]:
        raise MeshError(f"say where {', '.join(unknown)} answers: --service {unknown[0]}=HOST:PORT")
    if unknown := [f"AIDMESH_{name.upper()}_DATABASE_URL" for name in dsns if not dsns[name]]:
        raise MeshError(f"set {', '.join(unknown)}, or nobody can look there")
    first, *others = (
        NodeEntry(
            host=host, client_port=CLIENT_PORT, monitor_port=MONITOR_PORT, leaf_port=LEAF_PORT
        )
        for host in wanted.cluster.hosts
    )
    return RegionEntry(
        epoch=wanted.epoch or (1 if before is None else before.epoch),
        keys=KEYS,
        nats=NatsEntry(
            **first.model_dump(), others=others, leaf_host=ANY_HOST, ca_file=Path(AUTHORITY)
        ),
        services={
            name: ServiceEntry(addresses=each, database_url=dsns.get(name))
            for name, each in urls.items()
        },
    )


def _hand_over(data: Path, cluster: Cluster) -> None:
    """Copy what a look needs of the region's keys."""
    to = data / KEYS / cluster.region / FOLDER
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in NEEDED:
        source = cluster.keys / FOLDER / name
        if not source.is_file():
            raise CredentialsError(f"{source} is missing")
        (to / name).touch(mode=0o600)
        shutil.copyfile(source, to / name)
