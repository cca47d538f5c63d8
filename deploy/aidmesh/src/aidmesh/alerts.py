"""What wakes somebody up: when, whom it harms, and what to do.

`make documents` writes `deploy/observability/alerts.yaml` and `docs/runbooks/` from here, in the
form of `aidmesh.runbooks`.
"""

from dataclasses import dataclass
from typing import Final, Literal

REQUESTS: Final = "aidmesh_http_request_seconds"
OF_PEOPLE: Final = 'route!~"/healthz|/readyz|/metrics"'
"""Of a small office machines ask the most: they would hide how staff are answered."""
DAY_S: Final = 24 * 3600


def once(metric: str, *labels: str) -> str:
    """What a database or a stream says, once for each region and service.

    Every copy of a service reads the same, and somebody is rung once for it.

    Args:
        metric: with its selector, if it has one.
        labels: of the metric, that tell one case from another.
    """
    split = ", ".join(("region", "service", *labels))
    return f"max by ({split}) ({_of_service(metric)})"


def least(metric: str) -> str:
    """The same of what copies may each see otherwise: as the worst of them has it.

    Args:
        metric: a number that is less where something is wrong.
    """
    return f"min by (region, service) ({_of_service(metric)})"


def _of_service(metric: str) -> str:
    return f"{metric} * on (instance) group_left (region, service) aidmesh_info"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        name: in camel case, as Prometheus has it.
        expr: PromQL; true while something is wrong.
        lasting: for how long it has to be true, as Prometheus writes it.
        severity: `page` wakes somebody, `ticket` waits for the morning.
        summary: one line; `{{ $labels.x }}` and `{{ $value }}` as Prometheus fills them in.
        harm: what people notice of it.
        look: what to look at, in order; commands in backquotes.
        do: what to do about what is found.
    """

    name: str
    expr: str
    lasting: str
    severity: Literal["page", "ticket"]
    summary: str
    harm: str
    look: tuple[str, ...]
    do: tuple[str, ...]

    @property
    def page(self) -> str:
        """Its page, below `docs/runbooks`."""
        slug = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.name).lstrip("-")
        return f"{slug}.md"


ALERTS: Final[tuple[Alert, ...]] = (
    Alert(
        "ServiceAway",
        'up{job="aidmesh"} == 0',
        "2m",
        "page",
        "{{ $labels.instance }} does not answer",
        "What that service does stands still; the others go on and catch up with it later.",
        ("`aidmesh status --data DIR`: is the whole region away, or one service?",
         "`aidmesh logs 'level>=error' --since 15m --data DIR`: why it ended."),
        ("Start it again; `aidmesh up` and the containers' restart policy do so by themselves.",
         ("All of a region right after a start: a stream may be put back before services start "
         "(`stream.recovering` in the log); see [GateClosed](gate-closed.md)."),
         ("If it ends again and again: `settings.refused` in the log names a setting that does not "
         "fit, `service.failed` says where it failed; else look at memory and disk, then at the "
         "last upgrade. `aidmesh doctor --data DIR` says the same.")),
    ),
    Alert(
        "GateClosed",
        "aidmesh_gate_open == 0",
        "2m",
        "page",
        "{{ $labels.instance }} may not publish",
        "Requests are accepted and kept, but nothing further happens with them: no holds, no "
        "messages.",
        ("`aidmesh logs 'event=gate.*,stream.*,relay.*' --since 15m --data DIR`: the reason.",
         "`aidmesh topology check --data DIR`: whether a stream lost what it had acknowledged."),
        ("NATS away: bring it back, the gate opens by itself.",
         ("PostgreSQL away, with [DatabaseAway](database-away.md): see there. A gate that is "
         "closed stays so without it, for streams are compared with the outboxes before it opens; "
         "one that is open does not close."),
         ("`aidmesh up` away or stopped, which alone opens the gate: `aidmesh doctor` says so and "
         "what to do."),
         ("A stream was lost: it is made anew from the outboxes by itself, which takes as long as "
         "its history is long. `stream.recovering` in the log says every few seconds how far it is "
         "(so does the terminal of `aidmesh up`); a start waits while that grows. Let it: what was "
         "interrupted goes on where it was. Then `aidmesh verify --data DIR`."),
         ("It does not grow for two minutes: a start ends and says what it waited for; "
         "`gate.stays_closed` says the same. Mend that, then start again."),
         "Never put back an old copy of JetStream's files."),
    ),
    Alert(
        "DatabaseAway",
        f"{least('aidmesh_database_up')} == 0",
        "2m",
        "page",
        "the database of {{ $labels.service }} of {{ $labels.region }} does not answer",
        "Nothing can be looked up or entered there: requests are refused, and can be sent again. "
        "Nothing that was accepted is lost; events wait in the streams.",
        ("`aidmesh status --data DIR`: PostgreSQL as a whole, or one database of several.",
         ("`aidmesh logs 'event=database.waits' --since 15m --data DIR`: `cause`; PostgreSQL's "
          "own log says more.")),
        (("Bring it back: its process, its disk (full?), the network to it; services go on by "
          "themselves."),
         ("`cause` is `TooManyConnectionsError`: raise PostgreSQL's `max_connections`, or have "
         "fewer ([what each copy takes](../scaling.md#copies-of-a-service))."),
         ("`cause` is `InvalidPasswordError` or `InvalidAuthorizationSpecificationError`: the "
         "service has another password than PostgreSQL. `NotMigrated`: its tables are not brought "
         "up to date yet, which `aidmesh up`, or the supervisor's container, does when it starts."),
         ("It answers others, but not in time (`TimeoutError`, `QueryCanceledError`): look for "
         "long statements and locks in `pg_stat_activity`, and at its disk."),
         "What other alerts say of this service's figures is as old as this one."),
    ),
    Alert(
        "KeysLocked",
        "aidmesh_keys_locked == 1",
        "10m",
        "ticket",
        "{{ $labels.instance }} runs without the keys for personal data",
        "Nobody can be registered or looked up by name, messages and payments wait; goods that are "
        "ready are handed over as ever.",
        ("`aidmesh status --data DIR`: which services; after a power cut it is all of them.",
         "`aidmesh logs 'event=keys.*' --since 1d --data DIR`: since when, and who locked them."),
        ("`aidmesh unlock --data DIR`, by somebody who knows the passphrase.",
         "Locked on purpose, because somebody may have got hold of the machine: leave it so."),
    ),
    Alert(
        "OutboxStuck",
        f"{once('aidmesh_outbox_pending_age_seconds')} > 60",
        "1m",
        "page",
        "events of {{ $labels.service }} of {{ $labels.region }} have waited {{ $value }} s to be "
        "published",
        "What the service did is kept, but nobody hears of it.",
        ("`aidmesh doctor --data DIR`.",
         "`aidmesh logs 'event=relay.*,outbox.*' --since 15m --data DIR`."),
        ("With GateClosed: see there.",
         ("`outbox.publish_failed` names why JetStream refuses one event. Full streams: doctor "
         "says whether their disk is (make room, or a larger disk) or what they may take of it (a "
         "larger `AIDMESH_NATS_FILE_GIB_MAX`, [how](../scaling.md#streams-that-grow))."),
         "A missing stream: `aidmesh topology apply --data DIR`."),
    ),
    Alert(
        "DeadLetters",
        once('aidmesh_dead_letters{status="dead"}') + " > 0",
        "1m",
        "ticket",
        "{{ $value }} messages could not be handled by {{ $labels.service }} of "
        "{{ $labels.region }}",
        "What they say has not happened there: a need may wait for ever.",
        (("`aidmesh dead list --data DIR`, then `aidmesh dead show REGION/SERVICE/NUMBER "
         "--data DIR`."),
         "`aidmesh trace ID --data DIR` with the id it is about."),
        ("Mend the cause, then `aidmesh dead retry` with a reason.",
         ("`aidmesh dead drop` only if nothing is missed: what it says is lost to the service, for "
         "good. A handoff is answered by that, so that its sender waits no longer; what it was "
         "about is seen to by people ([how](handoffs-unanswered.md))."),
         ("What reporting dropped comes back by `aidmesh rebuild REGION --from-stream --data DIR`, "
         "which makes all results anew from the streams.")),
    ),
    Alert(
        "ConsumerBehind",
        f"{once('aidmesh_consumer_pending_events', 'durable')} > 5000",
        "5m",
        "ticket",
        "{{ $labels.durable }} of {{ $labels.region }} has {{ $value }} events to take in",
        "Holds, messages and results come late.",
        ("`aidmesh status --data DIR`: does it get less?",
         "`aidmesh logs 'event=batch.*,message.*,database.waits' --since 15m --data DIR`."),
        ("During a large import it is normal; it goes by itself.",
         "Otherwise look at PostgreSQL's load; a second replica of the service helps."),
    ),
    Alert(
        "PeerLate",
        f"{once('aidmesh_peer_late', 'peer')} == 1",
        "1m",
        "ticket",
        "{{ $labels.peer }} is dark or behind, seen from {{ $labels.service }} of "
        "{{ $labels.region }}",
        "Figures of that region are old; handovers between the two wait. Both go on helping.",
        ("`aidmesh status --data DIR` on both sides: link, since when, lag.",
         "`aidmesh logs 'event=link.*,peer.*' --since 1h --data DIR`."),
        ("Network or power: telephone; nothing is lost, all of it comes when the link returns.",
         "The link is up but events lag: `aidmesh topology check --data DIR` on both sides."),
    ),
    Alert(
        "HandoffsUnanswered",
        f"{once('aidmesh_handoffs_waiting_age_seconds', 'peer')} > 900 "
        f"and {once('aidmesh_peer_link_up', 'peer')} == 1",
        "5m",
        "ticket",
        "a handoff of {{ $labels.region }} to {{ $labels.peer }} has no answer for {{ $value }} s",
        "A referral or a payout for the other region has not arrived, though the link is up.",
        ("`aidmesh status --data DIR`: how many wait.",
         ("`aidmesh doctor --data DIR` names the oldest, and whom it is for; "
         "`aidmesh trace ID --data DIR` tells its story."),
         "The peer: `aidmesh dead list --data DIR` and whether its service runs."),
        (("Have the peer see to its dead letters; the handoff is sent again by itself until it is "
         "answered."),
         ("What can't be handled there, people of both see to another way; then the peer drops it "
         "(`aidmesh dead drop`), which answers it within five minutes. Nothing else is told: "
         "a payout is asked back, an offer withdrawn or left to lapse."),
         ("`aidmesh status` says that the peer is held for lost: its answers do not count until a "
         "lead lets it in again."),
         ("This region was held for lost and let in again: `aidmesh topology rejoin`; what waits "
         "is handed over anew then, and counts.")),
    ),
    Alert(
        "HoldsOverdue",
        f"{once('aidmesh_reservations_overdue')} > 0 "
        f"or {once('aidmesh_money_holds_overdue')} > 0",
        "2m",
        "page",
        "{{ $value }} holds of {{ $labels.service }} of {{ $labels.region }} are over and still "
        "hold",
        "Goods, places or money are kept from people who wait for them.",
        (("`aidmesh doctor --data DIR` names the need of the oldest; `aidmesh trace ID --data DIR` "
          "tells its story."),
         "`aidmesh logs 'event=sweep.*' --since 15m --data DIR`: does the sweep fail?"),
        ("Restart the service; if it stays, report the line with the exception as a bug.",),
    ),
    Alert(
        "RequestsFail",
        f'sum by (instance) (rate({REQUESTS}_count{{status="5xx",{OF_PEOPLE}}}[5m])) '
        f"> 0.01 * sum by (instance) (rate({REQUESTS}_count{{{OF_PEOPLE}}}[5m]))",
        "5m",
        "page",
        "more than 1 % of requests to {{ $labels.instance }} fail",
        "Staff see errors; what was refused was not done and can be done again.",
        ("`aidmesh logs 'event=http.failed,http.unavailable' --since 15m --data DIR`.",
         "`/readyz` of the service: what it lacks."),
        ("503: PostgreSQL or NATS is away or overloaded.",
         "500: a bug; the line's `exception.at` says where. Report it with the correlation id."),
    ),
    Alert(
        "RequestsSlow",
        "histogram_quantile(0.95, sum by (instance, le) "
        f"(rate({REQUESTS}_bucket{{{OF_PEOPLE}}}[10m]))) > 1",
        "10m",
        "ticket",
        "5 % of requests to {{ $labels.instance }} take longer than {{ $value }} s",
        "The desk feels slow; on a weak phone line it is unusable.",
        (("`aidmesh logs 'event=http.request' 'duration_ms>1000' --since 15m --data DIR`: which "
          "routes."),
         "PostgreSQL's load and disk."),
        ("During an import it is normal; send imports at night.",
         ("Otherwise look for long statements in `pg_stat_activity`; add memory, or a machine for "
         "PostgreSQL.")),
    ),
    Alert(
        "PeopleUntold",
        f"{once('aidmesh_needs_untold_age_seconds')} > {DAY_S}",
        "5m",
        "ticket",
        "somebody in {{ $labels.region }} has not known for {{ $value | humanizeDuration }} that "
        "something is ready for them",
        "What is set aside for them helps nobody.",
        ("The desk's home page, under Tell in person.",
         ("`aidmesh logs service=notification 'level>=warning' --since 1d --data DIR`: does "
         "sending work at all?")),
        ("Tell them in person and enter it.",
         "Ask for safe contacts when people register."),
    ),
    Alert(
        "ChannelAway",
        f"{once('aidmesh_channel_away_seconds', 'channel')} > 900",
        "5m",
        "page",
        "{{ $labels.channel }} of {{ $labels.region }} takes no messages for {{ $value }} s",
        "People are not told that something is ready for them. Messages wait, by default for three "
        "days, and leave by themselves once the channel is back.",
        ("`aidmesh logs event=channel.away --since 1h --data DIR`: `cause` says at which step.",
         "`AIDMESH_NOTIFICATION_SMTP_…` in the settings; for the channel `file` the spool's disk."),
        ("Refused or silent: have the mail server mended, or name another one and restart.",
         "An `SMTPAuthenticationError` or `SMTPSenderRefused`: correct login or sender.",
         ("It takes long: have caseworkers tell in person whom messages wait for (`GET "
          "/v1/messages?state=queued`); what was told is not sent any more.")),
    ),
    Alert(
        "MessagesUnknown",
        once('aidmesh_messages{state="unknown"}') + " > 0",
        "15m",
        "ticket",
        "of {{ $value }} messages nobody knows whether they went out, and nobody told their people",
        "The service was ended while it sent them, the mail server had their text and gave no "
        "clear answer, or they may have left after the backup that the region was restored from. "
        "They are not sent again: twice could out somebody.",
        ("The desk's home page, under Tell in person.",
         ("`aidmesh logs event=message.unknown --since 1d --data DIR`: `cause`, where the server "
          "gave no answer.")),
        ("Tell the people in person and enter it; of whoever knows the alert speaks no more.",
         ("A server that is only slow: raise `AIDMESH_NOTIFICATION_SEND_MS_MAX`.")),
    ),
    Alert(
        "DiscrepanciesOpen",
        f"{once('aidmesh_stock_discrepancies_open_age_seconds')} > {7 * DAY_S} "
        f"or {once('aidmesh_money_discrepancies_open_age_seconds')} > {7 * DAY_S}",
        "5m",
        "ticket",
        "a fact has not fitted the books of {{ $labels.service }} of {{ $labels.region }} for "
        "{{ $value | humanizeDuration }}",
        "Books and reality differ; donors' reports will too.",
        ("The desk: Stock and Money, under Open questions.",),
        ("A logistician or finance settles each with a reason.",),
    ),
    Alert(
        "MoneyInTransit",
        f"{once('aidmesh_transfers_in_transit_age_seconds')} > {DAY_S}",
        "5m",
        "ticket",
        "a transfer that {{ $labels.region }} knows of has not been credited for "
        "{{ $value | humanizeDuration }}",
        "The money is gone at the sender and not there at the receiver.",
        ("`aidmesh status --data DIR`: the link.",
         ("`aidmesh doctor --data DIR` names the allotment of the oldest; "
         "`aidmesh trace ID --data DIR` tells its story.")),
        ("The link is dark: it is credited when it returns.",
         "The link is up: the receiver's dead letters.",
         ("The receiver will not come back: two leads declare it lost at the desk. What it had "
         "free is taken back, and its transfers ring no more unless it is let in again.")),
    ),
)  # fmt: skip
