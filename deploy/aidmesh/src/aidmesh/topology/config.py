"""The text of a region's nats-server configuration. Pure."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import WORLD_REPORT_SUBJECT

ADMIN = "admin"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Link:
    """A leaf link to one peer region.

    `password` is shared by the two ends. `dial` is `host:port` of the peer's leaf listener when
    this region dials, None when the peer does; exactly one side does, see `dials`.
    """

    peer: str
    password: str
    dial: str | None = None


@dataclass(frozen=True, slots=True)
class RegionServer:
    """All that a region's server needs to know. Passwords are per data folder."""

    region: str
    client_port: int
    monitor_port: int
    store_dir: str
    admin_password: str
    system_password: str
    service_passwords: Mapping[str, str]
    leaf_port: int | None = None
    links: tuple[Link, ...] = ()
    host: str = "127.0.0.1"
    log_file: str | None = None
    file_bytes_max: int = 64 * 1024**3
    memory_bytes_max: int = 64 * 1024**2
    durable: bool = field(default=True)


def dials(region: str, peer: str) -> bool:
    """Whether `region` dials `peer`: the alphabetically later one does."""
    return region > peer


def render(server: RegionServer, *, undialed: Collection[str] = ()) -> str:
    """The configuration file's text; peers of `undialed` are not dialed for now."""
    users = [
        _user(ADMIN, server.admin_password),
        *(
            _user(service, password, service_permissions(service, server.region))
            for service, password in sorted(server.service_passwords.items())
        ),
        *(
            _user(
                f"link-{link.peer}",
                link.password,
                link_permissions(server.region, link.peer),
                leaf=True,
            )
            for link in server.links
            if link.dial is None
        ),
    ]
    parts = [
        f"server_name: {_text(server.region)}",
        f"listen: {_text(f'{server.host}:{server.client_port}')}",
        f"http: {_text(f'127.0.0.1:{server.monitor_port}')}",
        'ping_interval: "5s"',
        "ping_max: 2",
        "max_payload: 1MB",
        "write_deadline: 10s",
        *_log(server),
        _jetstream(server),
        _block("accounts", [_account("AID", users, jetstream=True), _system(server)]),
        f"system_account: {_text('SYS')}",
        *_leafnodes(server, undialed),
    ]
    return "\n".join(parts) + "\n"


def link_permissions(region: str, peer: str) -> tuple[list[str], list[str]]:
    """What `peer` may send into `region` and receive from it over their link.

    Filtered consumer creation would break sourcing towards the dialer, so a peer may read all of
    EVENTS; LOCAL and PRIVATE are on no list.
    """
    flow = ["$JS.FC.>", "$JSC.R.>"]
    publish = [
        f"$JS.{region}.API.CONSUMER.CREATE.EVENTS.>",
        f"sync.{region}.{peer}.>",
        f"handoff.{region}.{peer}.>",
        f"_INBOX_handoff_{region}.>",
        f"beat.{peer}",
        WORLD_REPORT_SUBJECT.format(region=peer),
        *flow,
    ]
    subscribe = [
        f"$JS.{peer}.API.CONSUMER.CREATE.EVENTS.>",
        f"sync.{peer}.{region}.>",
        f"handoff.{peer}.{region}.>",
        f"_INBOX_handoff_{peer}.>",
        f"beat.{region}",
        WORLD_REPORT_SUBJECT.format(region=region),
        *flow,
    ]
    return publish, subscribe


def service_permissions(service: str, region: str) -> tuple[list[str], list[str]]:
    """What a service may publish and subscribe to: its own events, its own durables."""
    publish = [
        *(f"{prefix}.{region}.{service}.>" for prefix in ("aid", "local", "private")),
        f"handoff.*.{region}.{service}.>",
        f"beat.{region}",
        f"gate.{region}",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.*",
    ]
    for consumer in CONSUMERS:
        if consumer.service == service:
            name = f"{consumer.stream}.{consumer.durable}"
            publish += [
                f"$JS.API.CONSUMER.INFO.{name}",
                f"$JS.API.CONSUMER.MSG.NEXT.{name}",
                f"$JS.ACK.{name}.>",
                f"$JS.ACK.*.*.{name}.>",
            ]
    subscribe = [f"_INBOX_{service}.>", f"_INBOX_handoff_{region}.>", "beat.>"]
    return publish, subscribe


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"


def _block(name: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" for part in lines for line in part.splitlines())
    return f"{name} {{\n{body}\n}}"


def _user(
    name: str,
    password: str,
    permissions: tuple[list[str], list[str]] | None = None,
    *,
    leaf: bool = False,
) -> str:
    fields = [f"user: {_text(name)}", f"password: {_text(password)}"]
    if leaf:
        fields.append('allowed_connection_types: ["LEAFNODE"]')
    if permissions:
        publish, subscribe = permissions
        fields.append(
            f"permissions: {{publish: {{allow: {_list(publish)}}}, "
            f"subscribe: {{allow: {_list(subscribe)}}}}}"
        )
    return "{" + ", ".join(fields) + "}"


def _account(name: str, users: list[str], *, jetstream: bool) -> str:
    lines = ["jetstream: enabled"] if jetstream else []
    return _block(name, [*lines, "users: [", *(f"  {user}" for user in users), "]"])


def _system(server: RegionServer) -> str:
    return _account("SYS", [_user(SYSTEM, server.system_password)], jetstream=False)


def _log(server: RegionServer) -> list[str]:
    if server.log_file is None:
        return []
    return [f"log_file: {_text(server.log_file)}", "logfile_size_limit: 10MB", "logfile_max_num: 7"]


def _jetstream(server: RegionServer) -> str:
    return _block(
        "jetstream",
        [
            f"store_dir: {_text(server.store_dir)}",
            f"domain: {_text(server.region)}",
            f"max_file_store: {server.file_bytes_max}",
            f"max_memory_store: {server.memory_bytes_max}",
            *(["sync_interval: always"] if server.durable else []),
        ],
    )


def _leafnodes(server: RegionServer, undialed: Collection[str]) -> list[str]:
    if not server.links:
        return []
    remotes = [
        f"{{urls: [{_text(f'nats-leaf://link-{server.region}:{link.password}@{link.dial}')}], "
        f"account: {_text('AID')}, isolate: true, "
        f"{'disabled: true, ' if link.peer in undialed else ''}"
        f"deny_imports: {_list(_never_imported(server.region))}}}"
        for link in server.links
        if link.dial is not None
    ]
    return [
        _block(
            "leafnodes",
            [
                f"listen: {_text(f'{server.host}:{server.leaf_port}')}",
                "isolate_leafnode_interest: true",
                "no_advertise: true",
                'reconnect: "1s"',
                *(["remotes: [", *(f"  {remote}" for remote in remotes), "]"] if remotes else []),
            ],
        )
    ]


def _never_imported(region: str) -> list[str]:
    """A dialer has no user whose rights bound the acceptor, so it refuses these by itself."""
    return [
        f"$JS.{region}.API.STREAM.>",
        f"$JS.{region}.API.CONSUMER.DELETE.>",
        f"$JS.{region}.API.CONSUMER.DURABLE.>",
        f"$JS.{region}.API.CONSUMER.CREATE.LOCAL.>",
        f"$JS.{region}.API.CONSUMER.CREATE.PRIVATE.>",
        f"$JS.{region}.API.CONSUMER.CREATE.HANDOFF.>",
        "$JS.API.>",
        f"local.{region}.>",
        f"private.{region}.>",
        f"aid.{region}.>",
        f"gate.{region}",
    ]
