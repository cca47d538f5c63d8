"""The text of a region's nats-server configuration. Pure.

It holds public keys only; seeds are in files of the keys folder that it includes by name.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aidmesh.topology.rights import (
    CHANGES,
    SYSTEM,
    closed_requests,
    link_permissions,
    never_exported,
    never_imported,
    permissions_of,
)

LINK_SEED = "LINK_SEED"
STORE_KEY = "STORE_KEY"
"""What included files call the seed of the link, and the key of the store."""

HANDSHAKE_S = 10
"""What a busy machine may need for it; nats-server gives two."""


@dataclass(frozen=True, slots=True)
class Link:
    """A leaf link to one peer region.

    `publics` are the nkeys that the peer may come with, `authority_file` has the certificates
    that vouch for its own. `dial` is `host:port` of its leaf listener when this region dials (of
    several listeners separated by commas), None when the peer does; exactly one side does, see
    `dials`.
    """

    peer: str
    publics: tuple[str, ...]
    authority_file: str
    dial: str | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A region's own end of its links.

    Attributes:
        port: where it listens, at `host`.
        certificate_file: its certificate and the key of it, in one file.
        authorities_file: the certificates that vouch for those who dial.
        seed_file: what says `LINK_SEED`, relative to the folder of the configuration.
        always: listen even while there is no link, so that the first one needs no restart.
    """

    port: int
    certificate_file: str
    authorities_file: str
    seed_file: str
    host: str = "127.0.0.1"
    always: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One of several servers that a region has; they form a cluster.

    Attributes:
        number: which of them, from 1 on.
        port: where it listens for the others, at `host`.
        routes: `host:port` of all of them.
        certificate_file: the region's certificate and the key of it, in one file.
        authority_file: the certificate that vouches for it, and so for the other servers.
    """

    number: int
    port: int
    routes: tuple[str, ...]
    certificate_file: str
    authority_file: str
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RegionServer:
    """All that a region's server needs to know.

    Attributes:
        host: where it listens for clients, and its monitor.
        client_certificate_file: its certificate and the key of it, for clients on other machines;
            None where all are on this one.
        publics: the nkeys of each user; more than one while a key is being replaced.
        node: which server of a cluster it is; None for the only one.
        store_key_file: what says `STORE_KEY`, relative to the folder of the configuration; None
            for a store that is not encrypted.
        file_bytes_max, memory_bytes_max: what its streams may take at most.
        generation: changes whenever the content of a file that is named here does.
    """

    region: str
    client_port: int
    monitor_port: int
    store_dir: str
    publics: Mapping[str, tuple[str, ...]]
    leaf: Leaf | None = None
    links: tuple[Link, ...] = ()
    host: str = "127.0.0.1"
    client_certificate_file: str | None = None
    node: Node | None = None
    store_key_file: str | None = None
    generation: str = ""
    log_file: str | None = None
    file_bytes_max: int = 64 * 1024**3
    memory_bytes_max: int = 64 * 1024**2
    durable: bool = True

    @property
    def peers(self) -> frozenset[str]:
        """The regions it has links with."""
        return frozenset(link.peer for link in self.links)

    @property
    def name(self) -> str:
        """Its own name, of which peers see the region; no two servers may share one."""
        return self.region if self.node is None else f"{self.region}-{self.node.number}"


def region_of(server_name: str) -> str:
    """The region of a server with that name: no region's name has a hyphen."""
    return server_name.partition("-")[0]


HOST = "127.0.0.1"
"""Clients are on the same machine, unless a server has a certificate for others; what they say here
is not encrypted (decisions 0037, 0043)."""


def dials(region: str, peer: str) -> bool:
    """Whether `region` dials `peer`: the alphabetically later one does."""
    return region > peer


def render(server: RegionServer, *, undialed: Collection[str] = ()) -> str:
    """The configuration file's text; peers of `undialed` are not dialed for now."""
    users = [
        user
        for name, publics in sorted(server.publics.items())
        if name != SYSTEM
        for public in publics
        for user in [_user(public, permissions_of(name, server.region))]
    ]
    users += [
        _user(public, link_permissions(server.region, link.peer), leaf=True)
        for link in server.links
        if link.dial is None
        for public in link.publics
    ]
    dialed = [link for link in server.links if link.dial is not None and link.peer not in undialed]
    includes = [
        *([server.leaf.seed_file] if server.leaf is not None and dialed else []),
        *([server.store_key_file] if server.store_key_file is not None else []),
    ]
    parts = [
        f"# {server.generation}",
        *(f"include {_text(path)}" for path in includes),
        f"server_name: {_text(server.name)}",
        f"listen: {_text(f'{server.host}:{server.client_port}')}",
        *_client_tls(server),
        f"http: {_text(f'{server.host}:{server.monitor_port}')}",
        "logtime_utc: true",
        'ping_interval: "5s"',
        "ping_max: 2",
        "max_payload: 1MB",
        "write_deadline: 10s",
        *_log(server),
        _jetstream(server),
        _block("accounts", [_account("AID", users, "jetstream: enabled"), _system(server)]),
        f"system_account: {_text('SYS')}",
        *_cluster(server),
        *_leafnodes(server, dialed),
    ]
    return "\n".join(parts) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"


def _block(name: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" for part in lines for line in part.splitlines())
    return f"{name} {{\n{body}\n}}"


def _user(
    public: str,
    permissions: tuple[list[str], list[str]] | None = None,
    *,
    leaf: bool = False,
) -> str:
    fields = [
        f"nkey: {_text(public)}",
        f"allowed_connection_types: [{_text('LEAFNODE' if leaf else 'STANDARD')}]",
    ]
    if permissions:
        publish, subscribe = permissions
        fields.append(
            f"permissions: {{publish: {{allow: {_list(publish)}}}, "
            f"subscribe: {{allow: {_list(subscribe)}}}}}"
        )
    return "{" + ", ".join(fields) + "}"


def _account(name: str, users: list[str], *more: str) -> str:
    return _block(name, [*more, "users: [", *(f"  {user}" for user in users), "]"])


def _system(server: RegionServer) -> str:
    """Requests of the region's account come here: most of those that change something end here."""
    users = [_user(public) for public in server.publics.get(SYSTEM, ())]
    mapped = {each: "closed.>" if each.endswith(".>") else "closed" for each in closed_requests()}
    mapped[f"{CHANGES}.>"] = "$JS.API.>"
    mappings = _block("mappings", [f"{_text(old)}: {_text(new)}" for old, new in mapped.items()])
    return _account("SYS", users, mappings)


def _log(server: RegionServer) -> list[str]:
    if server.log_file is None:
        return []
    return [f"log_file: {_text(server.log_file)}", "logfile_size_limit: 10MB", "logfile_max_num: 7"]


def _jetstream(server: RegionServer) -> str:
    encrypted = server.store_key_file is not None
    return _block(
        "jetstream",
        [
            f"store_dir: {_text(server.store_dir)}",
            f"domain: {_text(server.region)}",
            f"max_file_store: {server.file_bytes_max}",
            f"max_memory_store: {server.memory_bytes_max}",
            *(["sync_interval: always"] if server.durable else []),
            *([f"key: ${STORE_KEY}", "cipher: aes"] if encrypted else []),
        ],
    )


def _client_tls(server: RegionServer) -> list[str]:
    """Clients prove themselves by their nkeys; what they say is for the server alone."""
    certificate = server.client_certificate_file
    return [] if certificate is None else [_tls(certificate, None, verify=False)]


def _cluster(server: RegionServer) -> list[str]:
    """Whoever has a certificate of this region is one of its servers; nobody else has one."""
    node = server.node
    if node is None:
        return []
    routes = [f"nats-route://{route}" for route in node.routes]
    return [
        _block(
            "cluster",
            [
                f"name: {_text(server.region)}",
                f"listen: {_text(f'{node.host}:{node.port}')}",
                f"routes: {_list(routes)}",
                "no_advertise: true",
                _tls(node.certificate_file, node.authority_file, verify=True),
            ],
        )
    ]


def _leafnodes(server: RegionServer, dialed: Collection[Link]) -> list[str]:
    leaf = server.leaf
    if leaf is None or not (server.links or leaf.always):
        return []
    remotes = [_block("", _remote(server, leaf, link)).strip() for link in dialed]
    return [
        _block(
            "leafnodes",
            [
                f"listen: {_text(f'{leaf.host}:{leaf.port}')}",
                "isolate_leafnode_interest: true",
                "no_advertise: true",
                'reconnect: "1s"',
                _tls(leaf.certificate_file, leaf.authorities_file, verify=True),
                *(["remotes: [", *(f"  {remote}" for remote in remotes), "]"] if remotes else []),
            ],
        )
    ]


def _remote(server: RegionServer, leaf: Leaf, link: Link) -> list[str]:
    never = never_imported(server.region, link.peer, server.peers - {link.peer})
    urls = [f"nats-leaf://{address}" for address in (link.dial or "").split(",")]
    return [
        f"urls: {_list(urls)}",
        f"account: {_text('AID')}",
        f"nkey: ${LINK_SEED}",
        "isolate: true",
        _tls(leaf.certificate_file, link.authority_file, verify=False),
        f"deny_imports: {_list(never)}",
        f"deny_exports: {_list(never_exported(server.region, server.peers - {link.peer}))}",
    ]


def _tls(certificate_file: str, authorities_file: str | None, *, verify: bool) -> str:
    return _block(
        "tls",
        [
            f"cert_file: {_text(certificate_file)}",
            f"key_file: {_text(certificate_file)}",
            *([] if authorities_file is None else [f"ca_file: {_text(authorities_file)}"]),
            'min_version: "1.3"',
            f"timeout: {HANDSHAKE_S}",
            *(["verify: true"] if verify else []),
        ],
    )
