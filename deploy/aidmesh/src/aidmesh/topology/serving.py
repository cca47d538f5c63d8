"""What a region's server runs with, read from its keys folder and those of its peers.

Read again from time to time, so that a key that was replaced, or a peer that has come, is taken up
by the running server: it reloads its configuration, which disturbs nobody whose key stays.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from aidmesh.credentials import (
    FOLDER,
    LINK,
    STORE,
    USERS,
    CredentialsError,
    generation_of,
    publics_of,
)
from aidmesh.topology.config import Leaf, Link, Node, RegionServer, render
from aidmesh.topology.redial import Redialer

AUTHORITIES: Final = "authorities.pem"
FILE_GIB_MAX: Final = "AIDMESH_NATS_FILE_GIB_MAX"
"""The environment's name for how much a server's streams may take on its disk."""
FILE_GIB_DEFAULT: Final = 64
GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Ports:
    """All that one server listens on; `leaf` is None for one that can have no links.

    `leaf_host` is where it listens for those; it says whether other machines may dial. `host` is
    where it listens for clients, and its monitor; `client_tls` encrypts what they say. `routes` are
    `host:port` of all servers of the region's cluster where it has one, of which this is `number`;
    it listens for the others at `route_host`. `always` has it listen for links while there is none.
    """

    client: int
    monitor: int
    leaf: int | None = None
    leaf_host: str = "127.0.0.1"
    host: str = "127.0.0.1"
    client_tls: bool = False
    number: int = 1
    routes: tuple[str, ...] = ()
    route_host: str = "127.0.0.1"
    always: bool = False


@dataclass(frozen=True, slots=True)
class PeerEnd:
    """A peer: its folder of keys (of which `ca.pem` and `link.pub` are needed), and where this
    region dials it, None if it is dialed."""

    keys: Path
    dial: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """A server's configuration, and the certificates that it believes those who dial."""

    config: RegionServer
    authorities: str

    @property
    def files(self) -> dict[str, str]:
        """What has to lie beside the configuration, by name."""
        return {AUTHORITIES: self.authorities}


def file_bytes_max(environment: Mapping[str, str]) -> int:
    """How many bytes of its disk a server's streams may take, `FILE_GIB_MAX` in bytes.

    Raises CredentialsError when it is no whole number from 1 on.
    """
    text = environment.get(FILE_GIB_MAX) or str(FILE_GIB_DEFAULT)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise CredentialsError(f"set {FILE_GIB_MAX} to a whole number of GiB, 1 or more")
    return int(text) * GIB


def read_setup(
    region: str,
    keys: Path,
    folder: Path,
    ports: Ports,
    peers: Mapping[str, PeerEnd],
    *,
    store: Path | None = None,
    encrypted: bool = False,
    log_file: Path | None = None,
    durable: bool = True,
) -> Setup:
    """What a region's server is to run with now; the environment says what its streams may take.

    Args:
        region: its name.
        keys: its folder of keys.
        folder: where its configuration lies.
        ports: all it listens on.
        peers: the regions it has links with, by name.
        store: where it keeps its streams; beside its configuration when None.
        encrypted: whether its store is.
        log_file: where it writes its log; to its output when None.
        durable: whether it flushes every message to the disk.

    Raises CredentialsError or OSError when a key cannot be read, or the environment makes no sense.
    """
    own, here = (keys / FOLDER).resolve(), folder.resolve()
    used = [own / f"{LINK}.conf", own / "tls.pem", own / "ca.pem"]
    used += [end.keys.resolve() / FOLDER / "ca.pem" for _, end in sorted(peers.items())]
    leaf = None
    if ports.leaf is not None:
        leaf = Leaf(
            port=ports.leaf,
            host=ports.leaf_host,
            always=ports.always,
            certificate_file=str(own / "tls.pem"),
            authorities_file=str(here / AUTHORITIES),
            seed_file=os.path.relpath(own / f"{LINK}.conf", here),
        )
    node = None
    if ports.routes:
        node = Node(
            ports.number,
            _address(ports.routes[ports.number - 1])[1],
            ports.routes,
            str(own / "tls.pem"),
            str(own / "ca.pem"),
            ports.route_host,
        )
    config = RegionServer(
        region=region,
        node=node,
        host=ports.host,
        client_certificate_file=str(own / "tls.pem") if ports.client_tls else None,
        client_port=ports.client,
        monitor_port=ports.monitor,
        # A server that was alone knows nothing of a cluster's streams, nor the other way round: it
        # finds its own here, and what it lacks is made anew from the outboxes.
        store_dir=str(store or here / ("cluster" if ports.routes else "jetstream")),
        publics={user: publics_of(keys, user) for user in USERS},
        leaf=leaf,
        links=tuple(
            Link(
                peer,
                publics_of(end.keys, LINK),
                str(end.keys.resolve() / FOLDER / "ca.pem"),
                end.dial,
            )
            for peer, end in sorted(peers.items())
        ),
        store_key_file=os.path.relpath(own / STORE, here) if encrypted else None,
        generation=generation_of(used),
        log_file=None if log_file is None else str(log_file.resolve()),
        file_bytes_max=file_bytes_max(os.environ),
        durable=durable,
    )
    return Setup(config, "".join(path.read_text(encoding="ascii") for path in used[2:]))


class Server(Protocol):
    """A server whose configuration can be changed. `config` and `files` are for its next start."""

    config: str
    files: Mapping[str, str]

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        ...

    def reload(self, config: str, files: Mapping[str, str] | None = None) -> None:
        """Have it take another configuration; done when it has. Raises OSError if it does not."""
        ...

    def restart(self) -> None:
        """Have it end and start anew with `config`, whoever does that."""
        ...


class Served:
    """A server, and what it runs with. Methods block.

    Args:
        server: not started yet, or already.
        setup: what it has been made with.
        read: what it is to run with now.
        settled: whether it is known to run with `setup`; else it is told at the first `renew`.
    """

    def __init__(
        self, server: Server, setup: Setup, read: Callable[[], Setup], *, settled: bool = True
    ) -> None:
        self._settled = settled
        self.server = server
        self.setup = setup
        self._read = read
        self._one_at_a_time = threading.Lock()

    def runs(self) -> bool:
        """Whether the server does."""
        return self.server.alive

    def renew(self) -> bool:
        """Take up what has changed; whether anything had.

        Raises CredentialsError, or OSError (TimeoutError too) when the server does not take it:
        it is tried again by the next call.
        """
        with self._one_at_a_time:
            fresh = self._read()
            if fresh == self.setup and self._settled:
                return False
            # The server can add and remove a remote while it runs, not change what it refuses.
            staying = [link.peer for link in fresh.config.links if link.dial is not None]
            if fresh.config.peers != self.setup.config.peers:
                self.server.reload(render(fresh.config, undialed=staying), fresh.files)
            self.server.reload(render(fresh.config), fresh.files)
            self.server.config, self.server.files = render(fresh.config), fresh.files
            self.setup = fresh
            self._settled = True
            return True

    def adopt(self) -> None:
        """Take up what has changed by the next start; for what can't change while it runs."""
        with self._one_at_a_time:
            self.setup = self._read()
            self.server.config = render(self.setup.config)
            self.server.files = self.setup.files

    def redial(self, peer: str) -> None:
        """Have the server dial one peer anew. Raises as `renew`."""
        with self._one_at_a_time:
            config = self.setup.config
            try:
                self.server.reload(render(config, undialed=[peer]))
            finally:
                self.server.reload(render(config))

    def redialer(self) -> Redialer:
        """What can be done for the links that it dials; its supervisor starts it if it ends."""
        return Redialer(self._addresses, self.redial, self.server.restart)

    def _addresses(self) -> dict[str, list[tuple[str, int]]]:
        addresses = {}
        for link in self.setup.config.links:
            if link.dial is not None:
                addresses[link.peer] = [_address(each) for each in link.dial.split(",")]
        return addresses


def _address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = text.rpartition(":")
    return host, int(port)
