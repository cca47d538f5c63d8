"""Payouts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_contracts.accounts import Mechanism
from aidmesh_contracts.ids import AllotmentId, CommitmentId, NeedId, PayeeRef, PayoutId
from aidmesh_payments.domain.payout import LEFT, LIVE, Payout, Withdrawal


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout and what it belongs to.

    Attributes:
        paid_twice: it was paid beside another one of its need, as came out later.
        assigned_to: the region whose office was asked to pay it; None where this one pays.
        outcome_version: the highest that was heard from there.
        withdrawal: why it was asked back, once it was.
        taken_from: regions whose offices had it and were gone, the last one last; nobody hands it
            over to them again.
    """

    id: PayoutId
    commitment_id: CommitmentId
    need_id: NeedId
    allotment_id: AllotmentId
    payee_ref: PayeeRef | None
    mechanism: str | None
    payout_no: int
    payout: Payout
    bank_reference: str | None = None
    settled_on: date | None = None
    batch_id: UUID | None = None
    paid_twice: bool = False
    assigned_to: str | None = None
    outcome_version: int = 0
    withdrawal: Withdrawal | None = None
    taken_from: tuple[str, ...] = ()

    @property
    def has_left(self) -> bool:
        """Whether nobody here alone can keep the money from reaching the payee, or it has."""
        return self.payout.state in LEFT or (
            self.payout.state == "approved" and self.assigned_to is not None
        )

    @property
    def is_awaited(self) -> bool:
        """Whether another office has it and may give it back."""
        return self.assigned_to is not None and self.payout.state == "approved"

    @property
    def offices(self) -> set[str]:
        """Other regions whose offices have it, or had it."""
        return {*self.taken_from, *(() if self.assigned_to is None else (self.assigned_to,))}

    @property
    def is_given_up(self) -> bool:
        """Whether it was asked back so that nobody is paid by it, nor by another one after it."""
        return self.withdrawal in ("withdrawn", "returned", "erased")


def payout_of(row: asyncpg.Record) -> PayoutRow:
    """The payout of a whole row of its table."""
    return PayoutRow(
        id=PayoutId(row["id"]),
        commitment_id=CommitmentId(row["commitment_id"]),
        need_id=NeedId(row["need_id"]),
        allotment_id=AllotmentId(row["allotment_id"]),
        payee_ref=None if row["payee_ref"] is None else PayeeRef(row["payee_ref"]),
        mechanism=row["mechanism"],
        payout_no=row["payout_no"],
        payout=Payout(
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            state=row["state"],
            reason=row["reason"],
            maker=row["maker"],
            sealed_by=row["sealed_by"],
            approver=row["approver"],
            settler=row["settler"],
            reviewer=row["reviewer"],
            review_due_at=row["review_due_at"],
            version=row["version"],
        ),
        bank_reference=row["bank_reference"],
        settled_on=row["settled_on"],
        batch_id=row["batch_id"],
        paid_twice=row["paid_twice"],
        assigned_to=row["assigned_to"],
        outcome_version=row["outcome_version"],
        withdrawal=row["withdrawal"],
        taken_from=tuple(row["taken_from"]),
    )


async def insert(
    conn: asyncpg.Connection, payouts: Sequence[PayoutRow]
) -> dict[CommitmentId, Mechanism | None]:
    """Write drafts; mechanism and who sealed it are the payee's, cash where none was given.

    Returns:
        how each goes; None where the payee's details have not come yet.

    Raises:
        asyncpg.UniqueViolationError: a need already has a live payout.
    """
    rows: list[asyncpg.Record] = []
    if payouts:
        rows = await conn.fetch(
            """
            INSERT INTO payout (id, payout_no, commitment_id, need_id, allotment_id, amount_minor,
                                currency, payee_ref, mechanism, sealed_by, state, maker)
            SELECT n.id, n.payout_no, n.commitment_id, n.need_id, n.allotment_id, n.amount,
                   n.currency, n.payee_ref,
                   CASE WHEN n.payee_ref IS NULL THEN 'cash' ELSE payee.mechanism END,
                   payee.sealed_by, 'draft', n.maker
            FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[],
                        $7::text[], $8::uuid[], $9::uuid[])
                 AS n (id, payout_no, commitment_id, need_id, allotment_id, amount, currency,
                       payee_ref, maker)
            LEFT JOIN payee ON payee.payee_ref = n.payee_ref
            RETURNING commitment_id, mechanism
            """,
            [each.id for each in payouts],
            [each.payout_no for each in payouts],
            [each.commitment_id for each in payouts],
            [each.need_id for each in payouts],
            [each.allotment_id for each in payouts],
            [each.payout.amount_minor for each in payouts],
            [each.payout.currency for each in payouts],
            [each.payee_ref for each in payouts],
            [each.payout.maker for each in payouts],
        )
    return {CommitmentId(row["commitment_id"]): row["mechanism"] for row in rows}


async def find(conn: asyncpg.Connection, ids: Iterable[PayoutId]) -> list[PayoutRow]:
    """Read payouts without locking them."""
    rows = await conn.fetch("SELECT * FROM payout WHERE id = ANY($1::uuid[])", list(set(ids)))
    return [payout_of(row) for row in rows]


async def live_of_needs(
    conn: asyncpg.Connection, need_ids: Iterable[NeedId]
) -> dict[NeedId, PayoutId]:
    """Return each need's payout that is not over; where it was paid twice, the one that counts."""
    rows = await conn.fetch(
        """
        SELECT need_id, id FROM payout
        WHERE need_id = ANY($1::uuid[]) AND state = ANY($2::text[])
        ORDER BY paid_twice DESC
        """,
        list(set(need_ids)),
        sorted(LIVE),
    )
    return {NeedId(row["need_id"]): PayoutId(row["id"]) for row in rows}


async def last_number(conn: asyncpg.Connection, commitment_id: CommitmentId) -> int:
    """Return how many payouts a commitment had."""
    number: int = await conn.fetchval(
        "SELECT max(payout_no) FROM payout WHERE commitment_id = $1", commitment_id
    )
    return number


async def lock(
    conn: asyncpg.Connection,
    ids: Iterable[PayoutId],
    live_of: Iterable[CommitmentId] = (),
) -> dict[PayoutId, PayoutRow]:
    """Lock payouts in order of id; allotments and commitments are locked before.

    Args:
        live_of: commitments whose payouts that are not over are locked, too.
    """
    rows = await conn.fetch(
        """
        SELECT * FROM payout
        WHERE id = ANY($1::uuid[]) OR (commitment_id = ANY($2::uuid[]) AND state = ANY($3::text[]))
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(set(ids)),
        list(set(live_of)),
        sorted(LIVE),
    )
    return {PayoutId(row["id"]): payout_of(row) for row in rows}


async def lock_live_of(
    conn: asyncpg.Connection, commitment_ids: Iterable[CommitmentId]
) -> dict[CommitmentId, PayoutRow]:
    """Lock the payouts of commitments that are not over."""
    rows = await conn.fetch(
        """
        SELECT * FROM payout WHERE commitment_id = ANY($1::uuid[]) AND state = ANY($2::text[])
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(set(commitment_ids)),
        sorted(LIVE),
    )
    return {CommitmentId(row["commitment_id"]): payout_of(row) for row in rows}


async def save(conn: asyncpg.Connection, payouts: Sequence[PayoutRow]) -> None:
    """Write the state of locked payouts, who drew them up, and who said where they go."""
    if payouts:
        await conn.execute(
            """
            UPDATE payout p SET state = n.state, reason = n.reason, approver = n.approver,
                   settler = n.settler, reviewer = n.reviewer, review_due_at = n.review_due_at,
                   version = n.version, bank_reference = n.bank_reference,
                   settled_on = n.settled_on, batch_id = n.batch_id, maker = n.maker,
                   sealed_by = n.sealed_by, paid_twice = n.paid_twice, assigned_to = n.assigned_to,
                   outcome_version = n.outcome_version, withdrawal = n.withdrawal,
                   given_up_at = CASE WHEN n.state = 'cancelled'
                       THEN COALESCE(p.given_up_at, clock_timestamp()) ELSE p.given_up_at END
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[],
                        $7::timestamptz[], $8::int[], $9::text[], $10::date[], $11::uuid[],
                        $12::uuid[], $13::boolean[], $14::text[], $15::int[], $16::text[],
                        $17::uuid[])
                 AS n (id, state, reason, approver, settler, reviewer, review_due_at, version,
                       bank_reference, settled_on, batch_id, maker, paid_twice, assigned_to,
                       outcome_version, withdrawal, sealed_by)
            WHERE p.id = n.id
            """,
            [each.id for each in payouts],
            [each.payout.state for each in payouts],
            [each.payout.reason for each in payouts],
            [each.payout.approver for each in payouts],
            [each.payout.settler for each in payouts],
            [each.payout.reviewer for each in payouts],
            [each.payout.review_due_at for each in payouts],
            [each.payout.version for each in payouts],
            [each.bank_reference for each in payouts],
            [each.settled_on for each in payouts],
            [each.batch_id for each in payouts],
            [each.payout.maker for each in payouts],
            [each.paid_twice for each in payouts],
            [each.assigned_to for each in payouts],
            [each.outcome_version for each in payouts],
            [each.withdrawal for each in payouts],
            [each.payout.sealed_by for each in payouts],
        )


async def mark_overdue(conn: asyncpg.Connection, limit: int) -> int:
    """Mark payouts that a second person should have looked at by now; returns how many."""
    result = await conn.execute(
        """
        UPDATE payout SET review_overdue = true WHERE id IN (
            SELECT id FROM payout WHERE review_due_at < clock_timestamp() AND reviewer IS NULL
                AND NOT review_overdue
            ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
        """,
        limit,
    )
    return int(result.split()[-1])


async def exportable(
    conn: asyncpg.Connection, region: str, currency: str, mechanism: str, limit: int
) -> list[PayoutId]:
    """Return approved payouts for one payment list; those of unknown mechanism come with IBANs.

    Args:
        region: the own one. What another region's office is to pay is left out; cash is paid where
            the person is. So is what was asked back from an office: it is not to be paid as it is.
    """
    rows = await conn.fetch(
        """
        SELECT p.id FROM payout p
        JOIN allotment a ON a.id = p.allotment_id
        JOIN grant_terms t ON t.grant_id = a.grant_id
        WHERE p.state = 'approved' AND p.currency = $1 AND COALESCE(p.mechanism, 'iban') = $2
          AND p.assigned_to IS NULL AND p.withdrawal IS NULL
          AND (t.paying_office = $4 OR p.mechanism = 'cash')
          AND NOT EXISTS (SELECT FROM unproven u
                          WHERE u.id IN (p.id, p.need_id) AND u.cleared_at IS NULL)
        ORDER BY p.recorded_at, p.id LIMIT $3
        """,
        currency,
        mechanism,
        limit,
        region,
    )
    return [PayoutId(row["id"]) for row in rows]
