"""Who may say and hear what on a region's NATS server. Pure.

A service publishes its own events and takes from its own durables; a peer has what sourcing needs.
"""

from collections.abc import Collection

from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import WORLD_REPORT_SUBJECT, WORLD_REPORTS_SUBJECT, Stream

SUPERVISOR = "supervisor"
READER = "reader"
SYSTEM = "system"

CHANGES = "AID.API"
"""What stands for `$JS.API` where the system account changes streams and durables."""

SERVICES = tuple(dict.fromkeys(consumer.service for consumer in CONSUMERS))


def permissions_of(user: str, region: str) -> tuple[list[str], list[str]] | None:
    """What a user may publish and subscribe to; None for the supervisor, who may do everything."""
    if user == SUPERVISOR:
        return None
    if user == READER:
        return reader_permissions()
    return service_permissions(user, region)


def reader_permissions() -> tuple[list[str], list[str]]:
    """Who looks from outside may see all and change nothing.

    It makes consumers, whose names are in the subject: a service's is refused there, while one
    in the request itself would be taken (`closed_requests`).
    It hears what peers report to have taken, which is how `verify` knows of those elsewhere.
    """
    publish = [
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.NAMES.*",
        "$JS.API.CONSUMER.LIST.*",
        "$JS.API.CONSUMER.INFO.*.*",
        "$JS.API.CONSUMER.CREATE.*.*",
        "$JS.API.CONSUMER.MSG.NEXT.*.*",
    ]
    return publish, ["_INBOX.>", WORLD_REPORTS_SUBJECT]


def link_permissions(region: str, peer: str) -> tuple[list[str], list[str]]:
    """What `peer` may send into `region` and receive from it over their link.

    Filtered consumer creation would break sourcing towards the dialer, so a peer may read all of
    EVENTS, and of WORLD, from which a region that was restored has its own events back (decision
    0044); LOCAL and PRIVATE are on no list.
    """
    flow = ["$JS.FC.>", "$JSC.R.>"]
    publish = [
        f"$JS.{region}.API.CONSUMER.CREATE.EVENTS.>",
        f"$JS.{region}.API.CONSUMER.CREATE.WORLD.>",
        f"sync.{region}.{peer}.>",
        f"handoff.{region}.{peer}.>",
        f"_INBOX_handoff_{region}.>",
        f"beat.{peer}",
        WORLD_REPORT_SUBJECT.format(region=peer),
        *flow,
    ]
    subscribe = [
        f"$JS.{peer}.API.CONSUMER.CREATE.EVENTS.>",
        f"$JS.{peer}.API.CONSUMER.CREATE.WORLD.>",
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
        f"$JS.API.STREAM.INFO.{Stream.WORLD}",
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
    subscribe = [f"_INBOX_{service}.>", f"_INBOX_handoff_{region}.{service}.>", "beat.>"]
    return publish, subscribe


def closed_requests() -> list[str]:
    """What JetStream does for nobody in the region's own account, only by way of `CHANGES`.

    The server answers to whatever reply subject it is given, and delivers to whatever subject a
    consumer names, with every right of the account: so no list of a user's rights closes these
    (decision 0094).
    """
    streams = ("CREATE", "DELETE", "LEADER.STEPDOWN", "MSG.DELETE", "PEER.REMOVE", "PURGE")
    consumers = ("DELETE", "DURABLE.CREATE", "LEADER.STEPDOWN", "PAUSE", "UNPIN")
    durables = [f"$JS.API.CONSUMER.CREATE.{each.stream}.{each.durable}" for each in CONSUMERS]
    return [
        *(f"$JS.API.STREAM.{verb}.*" for verb in (*streams, "RESTORE", "SNAPSHOT", "UPDATE")),
        *(f"$JS.API.CONSUMER.{verb}.*.*" for verb in consumers),
        "$JS.API.CONSUMER.CREATE.*",  # has a durable's name where no list of rights sees it
        *(subject for each in durables for subject in (each, f"{each}.>")),
    ]


def never_exported(region: str, others: Collection[str]) -> list[str]:
    """What a dialer tells nobody, whoever is behind the listener: he would only have to ask.

    What its users are sent lands in their inboxes, so these are closed as well.
    """
    inboxes = ("_INBOX", f"_INBOX_handoff_{region}", *(f"_INBOX_{each}" for each in SERVICES))
    return [
        *(f"{prefix}.>" for prefix in ("aid", "local", "private", "gate", "world")),
        *(f"{inbox}.>" for inbox in inboxes),
        *("$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", f"$JS.{region}.>"),
        *(
            f"{prefix}.{each}.>"
            for each in sorted({region, *others})
            for prefix in ("handoff", "sync")
        ),
    ]


def never_imported(region: str, peer: str, others: Collection[str]) -> list[str]:
    """What a dialer takes from nobody, or from no one but the region whose word it is.

    A dialer has no user whose rights bound the acceptor, so it refuses these by itself: everything
    of its own JetStream but what a source needs, and whatever would be another region's. (What the
    region itself says over the link must not be here: the acceptor takes the list as its own.)
    """
    api = f"$JS.{region}.API"
    closed = [stream for stream in Stream if stream not in (Stream.EVENTS, Stream.WORLD)]
    return [
        "$JS.API.>",
        "$JS.ACK.>",
        f"{api}.INFO",
        *(f"{api}.{area}.>" for area in ("ACCOUNT", "DIRECT", "META", "SERVER", "STREAM")),
        *(
            f"{api}.CONSUMER.{verb}.>"
            for verb in ("DELETE", "DURABLE", "INFO", "LEADER", "LIST", "MSG", "NAMES", "PAUSE")
        ),
        *(f"{api}.CONSUMER.{verb}.>" for verb in ("RESET", "UNPIN")),
        *(f"{api}.CONSUMER.CREATE.{stream}" for stream in Stream),
        *(f"{api}.CONSUMER.CREATE.{stream}.>" for stream in closed),
        *(f"{prefix}.{region}.>" for prefix in ("aid", "local", "private", "world")),
        f"world.{region}",
        f"gate.{region}",
        *(
            subject
            for other in sorted(others)
            for subject in (
                f"handoff.{region}.{other}.>",
                f"sync.{region}.{other}.>",
                f"beat.{other}",
                WORLD_REPORT_SUBJECT.format(region=other),
            )
        ),
        f"handoff.{region}.{region}.>",
    ]
