"""Purchases and what was counted in for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, CommitmentId, PurchaseId
from aidmesh_payments.domain.purchase import Line, Purchase


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    """A purchase and what it belongs to."""

    id: PurchaseId
    allotment_id: AllotmentId
    commitment_id: CommitmentId | None
    supplier: str
    cost_category: str
    programme: str
    area: str
    currency: str
    planned_on: date
    purchase: Purchase
    invoice_reference: str | None = None
    bank_reference: str | None = None
    paid_on: date | None = None


async def insert(conn: asyncpg.Connection, row: PurchaseRow) -> None:
    """Write a draft."""
    await conn.execute(
        """
        INSERT INTO purchase (id, allotment_id, supplier, cost_category, programme, area, currency,
                              amount_minor, state, planned_on, maker)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        row.id,
        row.allotment_id,
        row.supplier,
        row.cost_category,
        row.programme,
        row.area,
        row.currency,
        row.purchase.amount_minor,
        row.purchase.state,
        row.planned_on,
        row.purchase.maker,
    )
    await conn.executemany(
        """
        INSERT INTO purchase_line (purchase_id, line, item, description, quantity,
                                   unit_value_minor)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [
            (row.id, number, line.item, line.description, line.quantity, line.unit_value_minor)
            for number, line in enumerate(row.purchase.lines, start=1)
        ],
    )


async def allotment_of(conn: asyncpg.Connection, purchase_id: PurchaseId) -> AllotmentId | None:
    """Return the allotment of a purchase, which never changes; lock it first."""
    found: UUID | None = await conn.fetchval(
        "SELECT allotment_id FROM purchase WHERE id = $1", purchase_id
    )
    return None if found is None else AllotmentId(found)


async def lock(
    conn: asyncpg.Connection, ids: Iterable[PurchaseId]
) -> dict[PurchaseId, PurchaseRow]:
    """Lock purchases in order of id, with their lines."""
    wanted = list(set(ids))
    rows = await conn.fetch(
        "SELECT * FROM purchase WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", wanted
    )
    lines: dict[UUID, list[Line]] = {row["id"]: [] for row in rows}
    for line in await conn.fetch(
        "SELECT * FROM purchase_line WHERE purchase_id = ANY($1::uuid[])"
        " ORDER BY purchase_id, line",
        wanted,
    ):
        lines[line["purchase_id"]].append(
            Line(
                line["item"],
                line["description"],
                line["quantity"],
                line["unit_value_minor"],
                line["received"],
                line["billed_unit_minor"],
            )
        )
    return {
        PurchaseId(row["id"]): PurchaseRow(
            id=PurchaseId(row["id"]),
            allotment_id=AllotmentId(row["allotment_id"]),
            commitment_id=None
            if row["commitment_id"] is None
            else CommitmentId(row["commitment_id"]),
            supplier=row["supplier"],
            cost_category=row["cost_category"],
            programme=row["programme"],
            area=row["area"],
            currency=row["currency"],
            planned_on=row["planned_on"],
            purchase=Purchase(
                lines=tuple(lines[row["id"]]),
                amount_minor=row["amount_minor"],
                maker=row["maker"],
                state=row["state"],
                approver=row["approver"],
                payer=row["payer"],
                biller=row["biller"],
                version=row["version"],
            ),
            invoice_reference=row["invoice_reference"],
            bank_reference=row["bank_reference"],
            paid_on=row["paid_on"],
        )
        for row in rows
    }


async def save(conn: asyncpg.Connection, rows: Sequence[PurchaseRow]) -> None:
    """Write the state of locked purchases, what was counted in, and what it cost."""
    if not rows:
        return
    await conn.execute(
        """
        UPDATE purchase p SET commitment_id = n.commitment_id, amount_minor = n.amount,
               state = n.state, approver = n.approver, payer = n.payer, biller = n.biller,
               version = n.version,
               invoice_reference = n.invoice, bank_reference = n.bank, paid_on = n.paid_on
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[],
                    $7::int[], $8::text[], $9::text[], $10::date[], $11::uuid[])
             AS n (id, commitment_id, amount, state, approver, payer, version, invoice, bank,
                   paid_on, biller)
        WHERE p.id = n.id
        """,
        [row.id for row in rows],
        [row.commitment_id for row in rows],
        [row.purchase.amount_minor for row in rows],
        [row.purchase.state for row in rows],
        [row.purchase.approver for row in rows],
        [row.purchase.payer for row in rows],
        [row.purchase.version for row in rows],
        [row.invoice_reference for row in rows],
        [row.bank_reference for row in rows],
        [row.paid_on for row in rows],
        [row.purchase.biller for row in rows],
    )
    lines = [
        (row.id, number, line.received, line.billed_unit_minor)
        for row in rows
        for number, line in enumerate(row.purchase.lines, start=1)
    ]
    await conn.execute(
        """
        UPDATE purchase_line l SET received = n.received, billed_unit_minor = n.billed
        FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[])
             AS n (id, line, received, billed)
        WHERE l.purchase_id = n.id AND l.line = n.line
        """,
        *(list(column) for column in zip(*lines, strict=True)),
    )


async def note_correction(
    conn: asyncpg.Connection,
    what: Literal["bill", "payment", "order"],
    row: PurchaseRow,
    reason: str,
    by: UUID,
) -> None:
    """Keep what stood in a purchase before it was corrected."""
    await conn.execute(
        """
        INSERT INTO purchase_correction (purchase_id, what, amount_minor, reference, paid_on,
                                         reason, corrected_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        row.id,
        what,
        row.purchase.amount_minor,
        row.bank_reference if what == "payment" else row.invoice_reference,
        row.paid_on,
        reason,
        by,
    )


async def admit_reversals(
    conn: asyncpg.Connection, reversals: Sequence[tuple[UUID, UUID, PurchaseId, date]]
) -> set[UUID]:
    """Record reversals of receipts: reversal, receipt, purchase, day of the receipt.

    Returns the receipts that were counted and are to be taken back now. One that is not known yet
    is recorded, so that it counts for nothing when it comes.
    """
    if not reversals:
        return set()
    fresh = await admit_receipts(conn, [(each[0], each[2], each[3]) for each in reversals])
    new = [(each[1], each[2], each[3]) for each in reversals if each[0] in fresh]
    return {receipt_id for receipt_id, _, _ in new} - await admit_receipts(conn, new)


async def admit_receipts(
    conn: asyncpg.Connection, receipts: Sequence[tuple[UUID, PurchaseId, date]]
) -> set[UUID]:
    """Record receipts; returns those that are new."""
    if not receipts:
        return set()
    rows = await conn.fetch(
        """
        INSERT INTO purchase_receipt (receipt_id, purchase_id, received_on)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[])
        ON CONFLICT DO NOTHING RETURNING receipt_id
        """,
        *(list(column) for column in zip(*receipts, strict=True)),
    )
    return {row["receipt_id"] for row in rows}
