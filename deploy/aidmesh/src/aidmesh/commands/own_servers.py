"""`aidmesh topology render` and `keep`: NATS servers that an operator starts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aidmesh.commands.common import names, refuse, report, run

if TYPE_CHECKING:
    from aidmesh.topology.cluster import Cluster


def render(
    *,
    keys: Path,
    region: str,
    hosts: str,
    to: Path,
    at: Path,
    peer: list[str] | None = None,
    encrypt: bool = False,
    data: Path | None = None,
    service: list[str] | None = None,
    json: bool = False,
) -> None:
    """Write what NATS servers need that you start yourself, each on its own machine.

    Each gets a folder with nats.conf and the keys that it names. Prints what services are told, and
    where peers dial. Run it again when a key, a peer or a host has changed.

    With --data it also writes a folder by which all commands that look (status, trace, dead,
    doctor, verify, backup, topology check …) find the region, from any machine it is copied to. It
    finds the databases as services do, by AIDMESH_<SERVICE>_DATABASE_URL of each; name them past
    any pooler.

    Args:
        keys: folder with a folder of keys per region.
        region: which region.
        hosts: under which each server is reached, separated by commas: three make a cluster.
        to: folder to write to.
        at: where a server's folder will lie on its machine, such as /etc/aidmesh/nats.
        peer: a region it is linked with: NAME if that one dials, else NAME=HOST:PORT, several
            addresses separated by commas. What proves it is in the folder of keys, below peers.
        encrypt: have the servers encrypt what they store.
        data: folder to describe the region in; keep it like a password.
        service: where a service answers, NAME=HOST:PORT, its copies separated by commas; once for
            each. What was said before need not be said again.
        json: as JSON.
    """
    from aidmesh.meshfile import MeshError  # noqa: PLC0415
    from aidmesh.topology.cluster import lay_out  # noqa: PLC0415

    cluster = _cluster(keys, region, hosts, peer)
    described = None if data is None else _describe(data, cluster, service, None)
    try:
        laid_out = lay_out(replace(cluster, at=at, encrypted=encrypt), to.expanduser())
        folders = [str(each) for each in laid_out]
    except (MeshError, OSError) as error:
        refuse(str(error))
    report(
        json,
        {
            "folders": folders,
            "nats_url": cluster.nats_url,
            "nats_ca_file": str(cluster.ca_file),
            "dial": cluster.dial,
            "mesh": None if described is None else str(described),
        },
        *folders,
        f"NATS_URL={cluster.nats_url}",
        f"NATS_CA_FILE={cluster.ca_file}",
        f"peers dial {cluster.dial}",
        *([] if described is None else [f"described in {described}"]),
    )


def keep(
    *,
    keys: Path,
    region: str,
    hosts: str,
    peer: list[str] | None = None,
    epoch: int = 1,
    data: Path | None = None,
    service: list[str] | None = None,
) -> None:
    """Keep NATS servers that you start yourself in order: streams, durables, gate, links.

    Runs until it is told to stop; a region has one. It finds the databases as services do, by
    AIDMESH_<SERVICE>_DATABASE_URL of each, and may read and update them.

    Args:
        keys: folder with a folder of keys per region.
        region: which region.
        hosts: as for render.
        peer: as for render.
        epoch: of the region; one higher after each time it was restored or let in again.
        data: as for render; written before it begins.
        service: as for render.
    """
    from aidmesh.meshfile import WITH_DATABASE  # noqa: PLC0415

    databases = _databases()
    if missing := [each for each in WITH_DATABASE if each not in databases]:
        unset = ", ".join(sorted(_variable(each) for each in missing))
        refuse(f"set {unset}: what was acknowledged is known there")
    cluster = _cluster(keys, region, hosts, peer)
    if data is not None:
        _describe(data, cluster, service, epoch)
    run(_keep(cluster, list(databases.values()), epoch))


async def _keep(cluster: "Cluster", dsns: list[str], epoch: int) -> int:
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415
    from aidmesh.topology.cluster import warden_of  # noqa: PLC0415
    from aidmesh_chassis import logs  # noqa: PLC0415

    logs.configure("supervisor", cluster.region)
    with cancelled_by_signals():
        await warden_of(cluster, dsns, epoch).run()
    return 0


def _cluster(keys: Path, region: str, hosts: str, peer: list[str] | None) -> "Cluster":
    from aidmesh.meshfile import MeshError, check_name  # noqa: PLC0415
    from aidmesh.preparing import CLUSTER_SIZES  # noqa: PLC0415
    from aidmesh.topology.cluster import Cluster  # noqa: PLC0415

    named = names(hosts) or ()
    if len(named) not in CLUSTER_SIZES:
        refuse("name one host, three or five: more than half of a cluster have to run")
    pairs = [each.partition("=") for each in peer or ()]
    try:
        for name in (region, *(name for name, _, _ in pairs)):
            check_name(name)
    except MeshError as error:
        refuse(str(error))
    peers = {name: address or None for name, _, address in pairs}
    return Cluster(region, keys.expanduser().resolve() / region, named, peers)


def _describe(
    data: Path, cluster: "Cluster", service: Sequence[str] | None, epoch: int | None
) -> Path:
    from aidmesh.describing import Described, describe  # noqa: PLC0415
    from aidmesh.meshfile import MeshError  # noqa: PLC0415

    wanted = Described(cluster, _databases(), _addresses(service or ()), epoch)
    try:
        return describe(data.expanduser().resolve(), wanted)
    except (MeshError, OSError) as error:
        refuse(str(error))


def _variable(service: str) -> str:
    return f"AIDMESH_{service.upper()}_DATABASE_URL"


def _databases() -> Mapping[str, str]:
    """Those that the environment names, by service."""
    import os  # noqa: PLC0415

    from aidmesh.meshfile import WITH_DATABASE  # noqa: PLC0415

    return {
        each: os.environ[_variable(each)] for each in WITH_DATABASE if _variable(each) in os.environ
    }


def _addresses(given: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The URLs of `NAME=HOST:PORT,…`, by name; what has a scheme keeps it."""
    from aidmesh.meshfile import SERVICES  # noqa: PLC0415

    found: dict[str, Sequence[str]] = {}
    for each in given:
        name, _, places = each.partition("=")
        urls = [place if "://" in place else f"http://{place}" for place in names(places) or ()]
        if name not in SERVICES or not urls or not all(map(_is_address, urls)):
            refuse(f"{each}: say NAME=HOST:PORT, of {', '.join(SERVICES)}")
        found[name] = [url.rstrip("/") for url in urls]
    return found


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port is not None
    except ValueError:  # a port that is none
        return False
