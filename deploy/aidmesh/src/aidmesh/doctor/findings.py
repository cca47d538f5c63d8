"""What was found, and the questions that databases are asked about work that is stuck."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know.

    Attributes:
        harm: `error` keeps people from being helped or endangers them, `warning` will; `note` is
            somebody's ordinary work that has waited for long.
        where: region, and the part of it.
        what: what is the case.
        why: what follows from it.
        do: what to do about it.
    """

    harm: Literal["error", "warning", "note"]
    where: str
    what: str
    why: str
    do: str

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return {"harm": self.harm, "where": self.where, "what": self.what, "why": self.why,
                "do": self.do}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted in a service's database: rows that should not be there any more.

    Attributes:
        harm, why, do: as in `Finding`.
        what: with `{rows}` and `{age}` of the oldest.
        sql: returns `rows` and `since`, the oldest's moment; of what is dated ahead the last one's.
            Where `aidmesh trace` tells more of the oldest also `oldest`, by which id, with a remark
            in brackets if need be. Never a person's.
    """

    harm: Literal["error", "warning", "note"]
    what: str
    why: str
    do: str
    sql: str


def _count(table: str, since: str, condition: str, oldest: str | None = None) -> str:
    """Ask for rows of a table; `oldest` is what is said of the oldest, NULL where nothing is."""
    named = (
        ""
        if oldest is None
        else f", (array_agg({oldest} ORDER BY {since}) FILTER (WHERE {oldest} IS NOT NULL))[1] "
        "AS oldest"
    )
    return f"SELECT count(*) AS rows, min({since}) AS since{named} FROM {table} WHERE {condition}"  # noqa: S608 - our own words


def _standing(*standings: str) -> str:
    """True of a row to a region that stands like that; what it says does not count, or it is over.

    Nobody here can do anything about such a row.
    """
    among = ", ".join(f"'{each}'" for each in standings)
    return (
        "EXISTS (SELECT FROM region_standing s "
        f"WHERE s.region = to_region AND s.standing IN ({among}))"
    )


_MAYBE_PAID: Final = (
    "EXISTS (SELECT FROM unproven u "
    "WHERE u.id IN (payout.id, payout.need_id) AND u.cleared_at IS NULL)"
)
"""True of a payout that another question asks about."""
SWEEPS_LATE: Final = "interval '2 minutes'"
LATER_THAN_TRIED: Final = "interval '15 minutes'"
"""No rule of the services lets what is tried again wait so long."""
LATER_THAN_LOOKED: Final = "interval '2 hours'"
"""A channel that was away is looked at sooner, whatever the settings say."""
LATER_THAN_MORNING: Final = "interval '2 days'"
"""A message waits for its hour, or to be tried again, and is due sooner."""
AHEAD: Final = "interval '1 minute'"
"""What was written so far ahead of now was written by another clock."""


def _ahead(
    harm: Literal["error", "warning"],
    what: str,
    why: str,
    table: str,
    until: str,
    condition: str,
    also: str = "",
) -> Question:
    """Ask for rows that wait for the time of a clock that was ahead, and say how they go on.

    Args:
        harm, why: as in `Finding`.
        what: the rows.
        table: where they are.
        until: the column that has what they wait for.
        condition: true of them, and of no row that a right clock wrote.
        also: what else is set so that they go on.
    """
    change = f"{until} = now()" + (f", {also}" if also else "")
    mend = f"UPDATE {table} SET {change} WHERE {condition};"  # noqa: S608 - our own words
    return Question(
        harm,
        f"{{rows}} {what} until a time that a clock ahead of this one set, the last for another "
        "{age}",
        why,
        "They go on by themselves then. Sooner, once the clock is right (timedatectl), in this "
        f"database: {mend}",
        f"SELECT count(*) AS rows, max({until}) AS since FROM {table} WHERE {condition}",  # noqa: S608 - our own words
    )


EVERY_SERVICE: Final[tuple[Question, ...]] = (
    Question(
        "error",
        "{rows} events wait in the outbox, the oldest for {age}",
        "Nobody hears of what this service has done since.",
        "See relay.waits and gate.stays_closed in aidmesh logs 'event=relay.*,gate.*'.",
        _count("outbox", "created_at",
               "status = 'pending' AND created_at < now() - interval '1 minute'"),
    ),
    Question(
        "error",
        "{rows} messages could not be handled, the oldest for {age}",
        "What they say has not happened here.",
        "aidmesh dead list; mend the cause, then aidmesh dead retry-all (or retry, drop).",
        _count("dead_letter", "first_at", "status = 'dead'"),
    ),
    Question(
        "warning",
        "{rows} messages have been tried again and again, the oldest for {age}",
        "They will be dead letters, or wait for something that does not come.",
        "aidmesh dead list --every.",
        _count("dead_letter", "first_at",
               "status IN ('failing', 'parked') AND first_at < now() - interval '1 hour'"),
    ),
    Question(
        "warning",
        "{rows} handoffs have no answer, the oldest for {age}",
        "What was handed to another region has not arrived, or its answer has not.",
        "aidmesh status shows the links; if they are up, ask the peer for its dead letters.",
        _count("handoff", "created_at",
               "status = 'waiting' AND created_at < now() - interval '15 minutes' "
               f"AND NOT {_standing('lost', 'retired')}",
               "format('%s (to %s, %s tries)', headers ->> 'ce-subject', to_region, tries)"),
    ),
    Question(
        "warning",
        "{rows} events of before the restore are in nobody's books, for {age}",
        "The backup did not have what they tell, and nothing follows from it by itself.",
        "A lead looks at GET /v1/conflicts, enters it again, and closes each (docs/backup.md).",
        _count("conflict", "arrived_at", "closed_at IS NULL AND durable = 'restore'"),
    ),
    Question(
        "error",
        "{rows} events are dated ahead, the last one by {age}: the clock was set back, or was "
        "ahead until it was put right",
        "Until then holds, deadlines and messages may stand still, nothing that goes by age rings, "
        "and what was entered meanwhile may have the wrong day.",
        "Compare it with another machine's (timedatectl). If it is wrong now: set it by NTP, and "
        "restart the services. If it is right: what waits because of it is named beside this.",
        "SELECT count(*) AS rows, max(created_at) AS since FROM outbox "
        "WHERE created_at > now() + interval '1 minute'",
    ),
    _ahead("error", "events wait in the outbox", "Nobody hears of them.", "outbox", "retry_at",
           f"status = 'pending' AND retry_at > now() + {LATER_THAN_TRIED}"),
    _ahead("error", "handoffs wait", "They are not sent to the other region.", "handoff", "next_at",
           f"status = 'waiting' AND next_at > now() + {LATER_THAN_TRIED}"),
    _ahead("warning", "messages that are to be tried again wait",
           "What they say has not happened here.", "dead_letter", "retry_at",
           f"status = 'parked' AND retry_at > now() + {LATER_THAN_TRIED}"),
)  # fmt: skip

OF_SERVICE: Final[Mapping[str, tuple[Question, ...]]] = {
    "intake": (
        Question(
            "error",
            "{rows} needs stand as held though their hold is over for {age}",
            "The sweep of intake does not run: they neither get aid nor a place in the queue.",
            "aidmesh logs service=intake 'event=sweep.*' 'level>=warning'; restart intake.",
            _count("need", "deadline_at", f"deadline_at < now() - {SWEEPS_LATE}", "id"),
        ),
        Question(
            "note",
            "{rows} needs ask for a person's attention, the oldest since {age}",
            "Something about them does not fit, and the rules don't decide it.",
            "Open them at the desk (Needs); aidmesh trace tells their story.",
            _count("need", "changed_at",
                   "attention IS NOT NULL AND changed_at < now() - interval '1 day'", "id"),
        ),
        Question(
            "note",
            "{rows} people have not been told for {age} that something is ready for them",
            "The pick-up clock has not begun, and what is set aside helps nobody else.",
            "The desk's home page lists them under Tell in person.",
            _count("need", "changed_at", "state = 'ready' AND told_at IS NULL "
                   "AND changed_at < now() - interval '1 day'"),
        ),
        Question(
            "note",
            "{rows} requests wait for a decision, the oldest for {age}",
            "People wait.",
            "A lead or caseworker decides them at the desk (Needs).",
            _count("need", "recorded_at",
                   "state = 'requested' AND recorded_at < now() - interval '7 days'"),
        ),
        _ahead("error", "needs wait for answers", "Those that get none are not asked anew.",
               "need", "deadline_at",
               f"deadline_at > now() AND changed_at > now() + {AHEAD}"),
        _ahead("error", "needs wait to be asked anew", "Nothing else wakes them.",
               "need", "retry_at", f"retry_at > now() AND changed_at > now() + {AHEAD}"),
    ),
    "inventory": (
        Question(
            "error",
            "{rows} holds are over for {age} and still set something aside",
            "The sweep of inventory does not run: goods and places are kept from others.",
            "aidmesh logs service=inventory 'level>=warning'; restart inventory.",
            _count("reservation", "hold_until",
                   f"state = 'held' AND hold_until < now() - {SWEEPS_LATE}", "need_id"),
        ),
        _ahead("error", "holds set something aside", "Goods and places are kept from others.",
               "reservation", "hold_until",
               f"state = 'held' AND hold_until > now() AND state_at > now() + {AHEAD}"),
        Question(
            "note",
            "{rows} discrepancies are open, the oldest for {age}",
            "Books and shelves differ.",
            "A logistician settles them at the desk (Stock).",
            _count("discrepancy", "opened_at",
                   "status = 'open' AND opened_at < now() - interval '7 days'"),
        ),
        Question(
            "note",
            "{rows} shipments have been on their way for {age}",
            "Nobody has counted them: they are neither here nor there.",
            "Telephone; then count them at the desk (Between regions), what is missing as short.",
            _count("shipment", "changed_at", "state IN ('dispatched', 'receiving') "
                   "AND changed_at < now() - interval '14 days'"),
        ),
    ),
    "payments": (
        Question(
            "error",
            "{rows} holds of money are over for {age} and still hold it",
            "The sweep of payments does not run: money is kept from others.",
            "aidmesh logs service=payments 'level>=warning'; restart payments.",
            _count("commitment", "hold_until",
                   f"state = 'held' AND hold_until < now() - {SWEEPS_LATE}", "need_id"),
        ),
        _ahead("error", "holds of money hold it", "Money is kept from others.",
               "commitment", "hold_until",
               f"state = 'held' AND hold_until > now() AND recorded_at > now() + {AHEAD}"),
        Question(
            "note",
            "{rows} payouts wait for their approval, the oldest for {age}",
            "People wait for money that is theirs.",
            "An approver sees to them at the desk (Money).",
            _count("payout", "recorded_at",
                   "state = 'draft' AND recorded_at < now() - interval '3 days'"),
        ),
        Question(
            "note",
            "{rows} approved payouts wait to be paid, the oldest for {age}",
            "People wait for money that is theirs.",
            "Finance pays them, or makes the bank file, at the desk (Money).",
            _count("payout", "recorded_at",
                   "state = 'approved' AND assigned_to IS NULL "
                   f"AND recorded_at < now() - interval '3 days' AND NOT {_MAYBE_PAID}"),
        ),
        Question(
            "note",
            "{rows} approved payouts wait for another region's office, the oldest for {age}",
            "People wait for money that is theirs; here nobody can pay it.",
            "aidmesh status shows the link; finance there pays them, or here asks them back (desk: "
            "Money).",
            _count("payout", "recorded_at",
                   "state = 'approved' AND assigned_to IS NOT NULL "
                   "AND recorded_at < now() - interval '3 days'", "need_id"),
        ),
        Question(
            "warning",
            "{rows} payments of one person are past the day of their review, the oldest by {age}",
            "Below the float limit one pays and another reviews within seven days.",
            "A second person reviews them at the desk (Money).",
            _count("payout", "review_due_at",
                   "review_due_at < now() AND reviewer IS NULL"),
        ),
        Question(
            "warning",
            "{rows} payouts, orders and purchases may have been paid already, for {age}",
            "They can't be paid until a person has compared them with the bank's statement.",
            "Finance settles or clears each at the desk (Money, then the notice at the top).",
            _count("unproven", "since", "cleared_at IS NULL AND about <> 'need'"),
        ),
        Question(
            "note",
            "{rows} transfers of money are in transit, the oldest for {age}",
            "The sender counts the money as gone, the receiver can't use it.",
            "aidmesh trace with the id of its allotment; aidmesh status shows the links.",
            _count("transfer", "recorded_at",
                   "state = 'in_transit' AND recorded_at < now() - interval '1 day' "
                   f"AND NOT {_standing('lost')}", "allotment_id"),
        ),
    ),
    "notification": (
        Question(
            "warning",
            "{rows} messages are being sent for {age}",
            "The sender does not run, or does not get an answer.",
            "aidmesh logs service=notification 'level>=warning'.",
            _count("message", "claimed_until",
                   f"state = 'sending' AND claimed_until < now() - {SWEEPS_LATE}"),
        ),
        Question(
            "warning",
            "{rows} channels take no messages, the first for {age}",
            "People are not told; messages wait until they expire.",
            "aidmesh logs service=notification event=channel.away: cause says at which step.",
            _count("channel_outage", "since",
                   f"since < now() - {SWEEPS_LATE} AND look_at > now() - interval '10 minutes'"),
        ),
        _ahead("error", "messages wait to be sent", "People are not told.", "message", "due_at",
               "state = 'queued' AND due_at > now() "
               f"AND (changed_at > now() + {AHEAD} OR due_at > now() + {LATER_THAN_MORNING})"),
        _ahead("error", "messages are being sent", "Whether they left is decided no sooner.",
               "message", "claimed_until",
               f"state = 'sending' AND claimed_until > now() AND changed_at > now() + {AHEAD}"),
        _ahead("error", "channels take no messages", "People are not told.",
               "channel_outage", "look_at", f"look_at > now() + {LATER_THAN_LOOKED}",
               also="since = LEAST(since, now())"),
    ),
    "reporting": (),
}  # fmt: skip


def age(seconds: float) -> str:
    """How long, in words."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
