"""The folders of a region's NATS servers that an operator starts, each on a machine of its own."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aidmesh.credentials import (
    FOLDER,
    LINK,
    STORE,
    USERS,
    CredentialsError,
    hosts_of,
    new_certificate,
    seed_file,
    write_file,
)
from aidmesh.topology.config import render
from aidmesh.topology.rights import SUPERVISOR, SYSTEM
from aidmesh.topology.serving import PeerEnd, Ports, read_setup
from aidmesh.topology.warden import Warden

ANY_HOST: Final = "0.0.0.0"  # noqa: S104 - other machines are the point
CLIENT_PORT: Final = 4222
MONITOR_PORT: Final = 8222
ROUTE_PORT: Final = 6222
LEAF_PORT: Final = 7422
OWN: Final = (f"{LINK}.conf", STORE, "ca.pem", "tls.pem", *(f"{user}.pub" for user in USERS))
"""What a server is handed of its region's keys: no user's seed."""
PEERS: Final = ("ca.pem", f"{LINK}.pub")
"""And of each peer's."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A region's servers.

    Attributes:
        region: its name.
        keys: its folder of keys, with what proves its peers below `peers`.
        hosts: of each server, under which the others, peers and services reach it.
        peers: with which it is linked: where this region dials each (`host:port`, several separated
            by commas), None where it is dialed.
        at: where a server's folder will lie on its machine; nobody else needs to know.
        encrypted: whether its servers encrypt what they store.
    """

    region: str
    keys: Path
    hosts: Sequence[str]
    peers: Mapping[str, str | None]
    at: Path = Path("/")
    encrypted: bool = False

    @property
    def nats_url(self) -> str:
        """`NATS_URL` of the region's services."""
        return ",".join(f"tls://{host}:{CLIENT_PORT}" for host in self.hosts)

    @property
    def ca_file(self) -> Path:
        """`NATS_CA_FILE` of the region's services."""
        return self.keys / FOLDER / "ca.pem"

    @property
    def dial(self) -> str:
        """Where peers dial it."""
        return ",".join(f"{host}:{LEAF_PORT}" for host in self.hosts)


def warden_of(cluster: Cluster, outbox_dsns: Sequence[str], epoch: int) -> Warden:
    """Who keeps these servers in order, from any machine that reaches them."""
    return Warden(
        region=cluster.region,
        peers=sorted(cluster.peers),
        url=cluster.nats_url,
        seed_file=seed_file(cluster.keys, SUPERVISOR),
        monitors={(host, MONITOR_PORT): None for host in cluster.hosts},
        epoch=epoch,
        outbox_dsns=outbox_dsns,
        system_seed_file=seed_file(cluster.keys, SYSTEM),
        ca_file=cluster.ca_file,
    )


def lay_out(cluster: Cluster, to: Path) -> list[Path]:
    """Write a folder for each server, with its configuration and the keys that it names.

    The region's certificate is made anew if it is not for these hosts yet. What is there is
    replaced, so that it can be done again when a key, a peer or a host has changed.

    Returns the folders. Raises CredentialsError or OSError when a key cannot be read.
    """
    own = cluster.keys / FOLDER
    known = hosts_of(own)
    if not known.issuperset(cluster.hosts):
        fresh = new_certificate(own, cluster.region, known | set(cluster.hosts))
        write_file(own / "tls.pem", fresh)
    routes = tuple(f"{host}:{ROUTE_PORT}" for host in cluster.hosts)
    folders = []
    for number, _ in enumerate(cluster.hosts, start=1):
        folder = (to / f"{cluster.region}-{number}").resolve()
        _hand_out(cluster, folder / "keys")
        setup = read_setup(
            cluster.region,
            folder / "keys",
            folder,
            Ports(
                CLIENT_PORT,
                MONITOR_PORT,
                LEAF_PORT,
                leaf_host=ANY_HOST,
                host=ANY_HOST,
                always=True,
                client_tls=True,
                number=number,
                routes=routes if len(routes) > 1 else (),
                route_host=ANY_HOST,
            ),
            {
                peer: PeerEnd(folder / "keys" / "peers" / peer, dial)
                for peer, dial in cluster.peers.items()
            },
            encrypted=cluster.encrypted,
        )
        # Every path in it begins with this folder, which will lie elsewhere.
        text = render(setup.config).replace(str(folder), str(cluster.at))
        for name, content in {"nats.conf": text, **setup.files}.items():
            write_file(folder / name, content)
        folders.append(folder)
    return folders


def _hand_out(cluster: Cluster, to: Path) -> None:
    wanted = {cluster.keys / FOLDER / name: to / FOLDER / name for name in OWN}
    for peer in cluster.peers:
        source = cluster.keys / "peers" / peer / FOLDER
        wanted |= {source / name: to / "peers" / peer / FOLDER / name for name in PEERS}
    for source, target in wanted.items():
        if not source.is_file():
            raise CredentialsError(f"{source} is missing")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o600)
