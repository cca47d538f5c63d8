"""Payment lists for the bank: of own payouts, and of what other regions have this office pay."""

import csv
import io
import json
from collections.abc import Mapping
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.keys import KeyRing
from aidmesh_chassis.privacy import REVEAL
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_payments.handlers import assignments
from aidmesh_payments.handlers.payees import Payee, opened
from aidmesh_payments.problems import problem
from aidmesh_payments.store import batches, payees
from aidmesh_payments.store.batches import Line

COLUMNS = ("end_to_end_id", "legal_name", "iban", "card", "post_address", "tax_number",
           "amount", "currency", "purpose")  # fmt: skip


async def payment_list(
    tx: Tx, keys: KeyRing, batch_id: UUID, by: UUID, purpose: str, exponents: Mapping[str, int]
) -> str:
    """Return a payment list as CSV, payees opened; who opened them is noted.

    Raises:
        Locked: the key is not loaded.
        Problem: there is no such list, or a payee's details cannot be used.
    """
    lines = await batches.lines(tx.conn, batch_id)
    if not lines:
        raise Problem(NOT_FOUND)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n", restval="")
    writer.writeheader()
    for line in lines:
        row: dict[str, str] = {}
        purpose_of = purpose
        if line.sealed is not None:
            payee, purpose_of = _opened(keys, line, purpose)
            row = {
                name: _safe(value)
                for name, value in json.loads(
                    payee.model_dump_json(exclude_none=True, context=dict(REVEAL))
                ).items()
                if name in COLUMNS
            }
        exponent = exponents.get(line.currency, 2)
        row |= {
            "end_to_end_id": line.payout_id.hex,
            "amount": _decimal(line.amount_minor, exponent),
            "currency": line.currency,
            "purpose": _safe(purpose_of),
        }
        writer.writerow(row)
    what_for = f"payment list {batch_id}"
    refs = (line.payee_ref for line in lines if line.payee_ref is not None)
    await payees.note_access(tx.conn, [(payee_ref, by, what_for) for payee_ref in refs])
    return out.getvalue()


def _opened(keys: KeyRing, line: Line, purpose: str) -> tuple[Payee, str]:
    """The payee of a line, and what their bank shows: the holder's words in its orders."""
    assert line.sealed is not None  # noqa: S101 - the caller looks
    if not line.is_order:
        return opened(keys, line.sealed, line.payout_id), purpose
    try:
        box = assignments.opened(keys, line.sealed)
    except assignments.UnreadableError:
        raise problem("payee-unusable", rule="cannot_be_opened", payout_id=line.payout_id) from None
    return box.payee, box.purpose


def _decimal(amount_minor: int, exponent: int) -> str:
    if exponent == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**exponent)
    return f"{whole}.{part:0{exponent}d}"


def _safe(value: str) -> str:
    """A spreadsheet takes text that begins like this for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value
