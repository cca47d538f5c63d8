"""What the databases of a region say when all is quiet, as far as the book can be held to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from aidmesh.quiet import RegionProbe


class Need(NamedTuple):
    """A need, as intake has it.

    Attributes:
        blocked_by: resource and code of what it waits for.
        place: in the queue: the smallest comes first.
        was_told: its timeline says that staff told the person.
        knows: the person knows of the running attempt.
        person_id: whose it is.
        is_over: its last day has passed, as when a run goes on past midnight.
    """

    kind: str
    state: str
    attempt_no: int
    pending: bool
    wait: str | None
    blocked_by: str | None
    quantity: int | None
    first_on: date | None
    last_on: date | None
    place: tuple[int, date, int]
    was_told: bool
    knows: bool
    person_id: UUID | None = None
    is_over: bool = False


class Reservation(NamedTuple):
    """What is set aside for an attempt; `left` says that a guest was checked out."""

    need_id: UUID
    state: str
    issue_no: int
    left: bool


class Lot(NamedTuple):
    """A lot; `came`, by receipts and from other sites, and `went` are sums of its movements."""

    item: str
    on_hand: int
    held: int
    came: int
    went: int


class Night(NamedTuple):
    """A stay in a bed that counts."""

    bed_id: UUID
    reservation_id: UUID
    from_on: date
    to_on: date | None


class Payout(NamedTuple):
    """A payout, or another region's that is paid here."""

    state: str
    bank_reference: str | None
    amount_minor: int | None


class Sent(NamedTuple):
    """An allotment at its grantor."""

    amount_minor: int
    returned_minor: int
    recalled: bool


class Held(NamedTuple):
    """An allotment at its holder."""

    received_minor: int
    returned_minor: int
    bound_minor: int
    spent_minor: int
    status: str


class Message(NamedTuple):
    """A message about an attempt of a need."""

    need_id: UUID | None
    attempt_no: int | None
    template: str
    state: str


class Proposal(NamedTuple):
    """A proposal to move money, at its grantor.

    Attributes:
        allotment_id: what is to come back; `to_region`: who is to get it.
    """

    state: str
    returned_minor: int | None
    hindrance: str | None
    allotment_id: UUID | None = None
    to_region: str = ""


class Move(NamedTuple):
    """Money that a rule sent to those who wait, or proposed to move there.

    Attributes:
        region: who waits.
        allotment_id: that was sent or raised; None of a proposal.
        proposal: its id; None of what was sent.
    """

    rule_id: UUID
    region: str
    amount_minor: int
    allotment_id: UUID | None
    proposal: UUID | None


class Link(NamedTuple):
    """Somebody here who is perhaps somebody in another region, and what either region said."""

    region: str
    person_id: UUID | None
    mine: str
    theirs: str


class Rule(NamedTuple):
    """A rule that acts for people; `used` is what it has standing or given, `most` may be."""

    in_force: bool
    most: int
    used: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One region. Ids as text, since that is what the book has.

    Attributes:
        return_asks: what grantors ask back here.
        lookups: blind queries that were made here.
        offered_by_rule: needs that rules offered to another region, with the rule.
        moved_by_rule: money of own grants.
        chosen: needs that are to be served from elsewhere by rule.
        aside: what is not to be proposed for now: `region/programme/currency`, `region/item`.
        settled: discrepancies of goods that somebody closed.
        erased: persons of whom nothing is kept but counts.
    """

    region: str
    needs: Mapping[str, Need]
    reservations: Mapping[str, Reservation]
    lots: Mapping[str, Lot]
    receipts: Mapping[str, int]
    nights: tuple[Night, ...]
    beds: tuple[UUID, ...]
    free_seats: int
    payouts: Mapping[str, Payout]
    orders: Mapping[str, Payout]
    instalments: Mapping[str, int]
    sent: Mapping[str, Sent]
    held: Mapping[str, Held]
    messages: Mapping[str, Message]
    transfers: Mapping[str, str]
    shipments: Mapping[str, str]
    offers: Mapping[str, str]
    referrals: Mapping[str, str]
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    return_asks: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    offered_by_rule: Mapping[str, str] = field(default_factory=dict)
    moved_by_rule: Mapping[str, Move] = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()
    aside: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()


Row = TypeVar("Row")


async def _by_id(conn: asyncpg.Connection, row: Callable[..., Row], query: str) -> dict[str, Row]:
    """Rows by their first column."""
    return {str(each[0]): row(*tuple(each)[1:]) for each in await conn.fetch(query)}


async def _values(conn: asyncpg.Connection, query: str) -> dict[str, str]:
    return {str(each[0]): str(each[1]) for each in await conn.fetch(query)}


async def _numbers(conn: asyncpg.Connection, query: str) -> dict[str, int]:
    return {str(each[0]): int(each[1]) for each in await conn.fetch(query)}


async def _set(conn: asyncpg.Connection, query: str) -> frozenset[str]:
    return frozenset(str(each[0]) for each in await conn.fetch(query))


async def look(probe: RegionProbe) -> Seen:
    """Read a region."""
    intake, inventory = probe.connections["intake"], probe.connections["inventory"]
    payments, notification = probe.connections["payments"], probe.connections["notification"]
    return Seen(
        region=probe.name,
        needs=await _by_id(intake, Need, _NEEDS),
        reservations=await _by_id(inventory, Reservation, _RESERVATIONS),
        lots=await _by_id(inventory, Lot, _LOTS),
        receipts=await _numbers(inventory, _RECEIPTS),
        nights=tuple(Night(*row) for row in await inventory.fetch(_NIGHTS)),
        beds=tuple(
            row[0] for row in await inventory.fetch("SELECT id FROM bed WHERE status = 'active'")
        ),
        free_seats=await inventory.fetchval(_SEATS),
        payouts=await _by_id(
            payments, Payout, "SELECT id, state, bank_reference, amount_minor FROM payout"
        ),
        orders=await _by_id(
            payments, Payout, "SELECT id, state, bank_reference, amount_minor FROM paying_order"
        ),
        instalments=await _numbers(
            payments,
            "SELECT bank_reference, sum(received_minor) FROM instalment "
            "WHERE state = 'received' GROUP BY 1",
        ),
        sent=await _by_id(
            payments,
            Sent,
            "SELECT id, amount_minor, returned_minor, recall_reason IS NOT NULL "
            "FROM grant_allotment",
        ),
        held=await _by_id(
            payments,
            Held,
            "SELECT id, received_minor, returned_minor, held_minor + committed_minor, "
            "spent_minor, status FROM allotment",
        ),
        messages=await _by_id(
            notification,
            Message,
            "SELECT message_id, need_id, attempt_no, template, state FROM message",
        ),
        transfers=await _values(inventory, "SELECT id, state FROM transfer"),
        shipments=await _values(inventory, "SELECT id, state FROM shipment"),
        offers=await _values(intake, "SELECT id, status FROM referral_out"),
        referrals=await _values(intake, "SELECT id, status FROM referral_in"),
        proposals=await _by_id(
            payments,
            Proposal,
            "SELECT id, state, returned_minor, hindrance, allotment_id, to_region FROM rebalancing",
        ),
        return_asks=await _values(
            payments, "SELECT id, state FROM return_ask WHERE state IS NOT NULL"
        ),
        lookups=await _values(intake, "SELECT id, status FROM lookup_out"),
        links=await _by_id(
            intake, Link, "SELECT id, region, person_id, mine, theirs FROM person_link"
        ),
        rules={
            **await _by_id(inventory, Rule, _RULES_FOR_GOODS),
            **await _by_id(intake, Rule, _RULES_FOR_PLACES),
            **await _by_id(payments, Rule, _RULES_FOR_MONEY),
        },
        offered_by_rule=await _values(
            intake, "SELECT need_id, rule_id FROM referral_out WHERE rule_id IS NOT NULL"
        ),
        moved_by_rule=await _by_id(payments, Move, _MOVED_BY_RULE),
        chosen=await _set(intake, "SELECT need_id FROM chosen_need"),
        aside=await _set(payments, _WAITS_ASIDE) | await _set(inventory, _GOODS_ASIDE),
        settled=await _set(inventory, "SELECT id FROM discrepancy WHERE status = 'settled'"),
        erased=await _set(intake, "SELECT id FROM person WHERE erased_at IS NOT NULL"),
    )


_NEEDS = """
    SELECT id, kind, state, attempt_no, pending, wait, blocked_resource || ':' || blocked_code,
           blocked_quantity, first_on, last_on, (-priority, asked_on, queue_no),
           EXISTS (SELECT FROM need_event e
                   WHERE e.need_id = need.id AND e.note = 'told_in_person'),
           told_at IS NOT NULL, person_id,
           COALESCE(LEAST(needed_by, last_on) < (now() AT TIME ZONE 'Europe/Kyiv')::date, false)
    FROM need
"""
_RESERVATIONS = """
    SELECT r.id, r.need_id, r.state, r.issue_no,
           EXISTS (SELECT FROM bed_booking b
                   WHERE b.reservation_id = r.id AND b.left_on IS NOT NULL)
    FROM reservation r
"""
_LOTS = """
    SELECT l.id, l.item, l.on_hand, l.held,
           COALESCE(sum(m.quantity) FILTER (WHERE m.came), 0),
           COALESCE(-sum(m.quantity) FILTER (WHERE NOT m.came), 0)
    FROM lot l LEFT JOIN (
        SELECT lot_id, quantity, kind = 'receipt' OR kind = 'move' AND quantity > 0 AS came
        FROM movement) m ON m.lot_id = l.id
    GROUP BY l.id
"""
_RECEIPTS = """
    SELECT receipt_id, sum(quantity) FROM movement WHERE kind = 'receipt' GROUP BY receipt_id
"""
_NIGHTS = """
    SELECT b.bed_id, b.reservation_id, lower(b.stay), upper(b.stay)
    FROM bed_booking b JOIN reservation r ON r.id = b.reservation_id
    WHERE r.state IN ('held', 'confirmed', 'issued') AND NOT isempty(b.stay)
"""
_SEATS = """
    SELECT COALESCE(sum(seats - taken), 0)::int FROM slot
    WHERE status = 'open' AND code = 'counseling' AND starts_at > now()
"""
_RULES_FOR_GOODS = """
    SELECT r.id, r.ended_at IS NULL, r.week_max,
           COALESCE((SELECT sum(t.accepted) FROM transfer t WHERE t.accept_rule_id = r.id), 0)
    FROM accept_rule r
    UNION ALL
    SELECT r.id, r.ended_at IS NULL, r.open_max,
           COALESCE((SELECT sum(t.quantity) FROM transfer t
                     WHERE t.ask_rule_id = r.id AND t.state = 'asked'), 0)
    FROM ask_rule r
"""
_RULES_FOR_PLACES = """
    SELECT r.id, r.ended_at IS NULL, r.open_max,
           (SELECT count(*) FROM referral_out o WHERE o.rule_id = r.id AND o.status = 'offered')
    FROM refer_rule r
"""
_RULES_FOR_MONEY = """
    SELECT r.id, r.ended_at IS NULL, r.week_max_minor,
           COALESCE((SELECT sum(m.amount_minor)::bigint FROM wait_move m
                     WHERE m.rule_id = r.id), 0)
    FROM wait_rule r
"""
_MOVED_BY_RULE = """
    SELECT m.id, m.rule_id, m.region, m.amount_minor, x.allotment_id, m.rebalancing_id
    FROM wait_move m LEFT JOIN transfer x ON x.id = m.transfer_id WHERE m.rule_id IS NOT NULL
"""
_WAITS_ASIDE = "SELECT region || '/' || programme || '/' || currency FROM wait_aside"
_GOODS_ASIDE = "SELECT DISTINCT from_region || '/' || item FROM proposal_aside"
