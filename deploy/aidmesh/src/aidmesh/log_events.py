"""The words of the mesh's own log; see aidmesh_chassis.vocabulary."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "region.started": LogEvent("info", "A region's servers and services run."),
    "region.stopped": LogEvent("info", "A region's servers and services were stopped."),
    "process.died": LogEvent(
        "error",
        "A server or service ended by itself; it is started again, later each time.",
        "Read the end of its log (`settings.refused`, `service.failed`); if it keeps dying, look "
        "at memory and disk.",
    ),
    "process.restarted": LogEvent("info", "What had died runs again."),
    "watch.failed": LogEvent(
        "error",
        "What looks after `watched` met an error nobody expected; it goes on, later each time.",
        "Report it as a bug, with the line. If it goes on, `watched` is looked after too rarely.",
    ),
    "process.restart_failed": LogEvent(
        "error",
        "What had died could not be started; it is tried again.",
        "Read the reason, and the end of its log.",
    ),
    "log.not_shortened": LogEvent(
        "warning",
        "A log of this machine has grown too large, and could not be begun anew.",
        "Look at the disk, and at who owns that file.",
    ),
    "passwords.replaced": LogEvent(
        "info", "Roles of a region's databases have new passwords; sessions from before are over."
    ),
    "passwords.wait": LogEvent(
        "warning",
        "Passwords of databases can't be replaced yet; it is tried again.",
        "If it goes on, see whether PostgreSQL runs.",
    ),
    "server.renewed": LogEvent("info", "A region's NATS server took up keys that have changed."),
    "server.not_renewed": LogEvent(
        "warning",
        "Keys have changed, and the NATS server could not take them up; it is tried again.",
        "Read the reason: a file of the keys folder that is missing or cannot be read.",
    ),
    "server.restart_needed": LogEvent(
        "error",
        "NATS has to be started anew for what it is to run with, and the supervisor may not do it.",
        "Restart its container: docker compose restart nats.",
    ),
    "keys.handed_out": LogEvent("info", "Containers were handed keys or settings that changed."),
    "keys.not_handed_out": LogEvent("debug", "A key was replaced as it was read; once more."),
    "region.retired": LogEvent(
        "warning",
        "The region has retired; its supervisor tends it no more.",
        "Stop its containers; keep its volumes as long as its books have to be kept.",
    ),
    "topology.applied": LogEvent("info", "A stream or durable was created or brought to the plan."),
    "gate.opened": LogEvent("info", "Nothing acknowledged is missing; relays may publish."),
    "gate.stays_closed": LogEvent(
        "warning",
        "Streams could not be compared with the outboxes; nothing is published, nothing is lost.",
        "Read the reason; if it lasts, look at PostgreSQL and NATS, or aidmesh topology plan.",
    ),
    "durables.changed": LogEvent(
        "error",
        "Durables were not as planned while the gate was open; they are put right, or made anew.",
        "Find out who did it: perhaps a peer's link key or the reader's was stolen (aidmesh keys "
        "rotate).",
    ),
    "sources.differed": LogEvent(
        "warning",
        "WORLD took other peers' events than planned while the gate was open; it is put right.",
        "Look whether the region's server stood still just then: to have a peer asked anew, its "
        "source is taken out and put in. If it comes again, find out who changes WORLD.",
    ),
    "stream.lost": LogEvent(
        "error",
        "A stream lost acknowledged messages while everybody stayed connected; the gate closes.",
        "Find out which servers of the cluster lost their disks, or who deleted a stream.",
    ),
    "stream.recovery_started": LogEvent(
        "warning",
        "A stream lost acknowledged messages and is made anew from the outboxes.",
        "Find out who wiped or put back JetStream's files; `stream.recovering` says how far it is.",
    ),
    "stream.recovering": LogEvent(
        "info",
        "How many events of how many are in a stream again that is made anew; every few seconds.",
        "Wait: a start waits too, for as long as the number grows.",
    ),
    "stream.recovery_finished": LogEvent(
        "warning",
        "A stream was made anew; the gate will open.",
        "Run aidmesh verify when the region is quiet.",
    ),
    "link.up": LogEvent(
        "warning",
        "The link to a peer region is there.",
        "If it comes and goes, look at the network between the two.",
    ),
    "link.down": LogEvent(
        "warning",
        "The link to a peer region is gone; work goes on, its events come later.",
        "If it lasts, look at the network between the two.",
    ),
    "link.redialed": LogEvent(
        "warning",
        "A peer greets, but the server did not dial it any more; it was made to.",
        "If it repeats, read NATS's own log about that peer: a key may differ.",
    ),
    "link.server_restarted": LogEvent(
        "error",
        "Redialing a peer that greets did not help several times; the server is restarted once.",
        "Read NATS's own logs on both sides: a key, a right or a name may differ.",
    ),
    "links.changed": LogEvent("info", "A region has other peers than before; it is linked so."),
    "links.need_restart": LogEvent(
        "warning",
        "NATS could not take on other links while it runs, and is started again.",
        "It is so for the first link of a region; else read NATS's own log.",
    ),
    "links.wait": LogEvent(
        "warning",
        "WORLD could not follow the peers that there are now; it is tried again.",
        "If it lasts, look at aidmesh topology plan.",
    ),
    "epoch.raised": LogEvent(
        "warning",
        "A region that was held for lost counts again; its NATS is started anew.",
        "Run aidmesh verify once it has told everything again.",
    ),
    "mesh.unreadable": LogEvent(
        "error",
        "mesh.json was changed to what this version can't read; all goes on as it was.",
        "Put back what it was, or stop the mesh and use the version that wrote it.",
    ),
    "region.start_failed": LogEvent(
        "error",
        "A region that joined could not be started; it is tried again at the next start.",
        "Read the reason and the region's logs, then start the mesh again.",
    ),
    "link.watch_failed": LogEvent("debug", "The region's own server did not say how links are."),
    "source.renewed": LogEvent("info", "A peer was asked anew for its events after a cut."),
    "world.report_failed": LogEvent(
        "debug", "The peers could not be told what has arrived of their events; it is tried again."
    ),
    "warden.failed": LogEvent(
        "error",
        "What keeps a region's streams in order met an error nobody expected; it starts anew.",
        "Report it as a bug, with the line.",
    ),
    "warden.looks_again": LogEvent(
        "debug",
        "Streams could not be looked at, such as while they choose a leader; it is repeated.",
    ),
    "warden.waits": LogEvent("info", "The region's NATS server does not answer yet."),
    "warden.close_failed": LogEvent("debug", "The server was gone before the connection ended."),
    "nats.client_error": LogEvent("debug", "The client library reported an error it deals with."),
}
