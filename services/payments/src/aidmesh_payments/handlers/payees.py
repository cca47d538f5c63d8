"""Payee details: kept sealed, opened only for a payment list, and every opening is noted."""

import base64
import binascii
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aidmesh_chassis import inbox
from aidmesh_chassis.crypto import DecryptionFailed, PublicKey, seal, unseal
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.privacy import REVEAL, PersonalText
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.accounts import Mechanism, compact, is_card, is_iban
from aidmesh_contracts.ids import CommitmentId, NeedId, PayeeRef, PayoutId
from aidmesh_contracts.intake import PayeeErasedV1, PayeeSealedV1
from aidmesh_contracts.retention import kept_if_paid_from
from aidmesh_payments.domain.money import today_in_kyiv
from aidmesh_payments.domain.payout import correct
from aidmesh_payments.handlers.needs import payout_state
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import erasure as erasure_store
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store import pickup as pickup_store
from aidmesh_payments.store.payouts import PayoutRow


class Payee(BaseModel):
    """What a payment needs to know of a person. Sealed as this model's JSON.

    Raises:
        ValueError: the number of the mechanism is missing or its check digits are wrong.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    mechanism: Mechanism
    legal_name: PersonalText
    iban: PersonalText | None = None
    card: PersonalText | None = None
    tax_number: PersonalText | None = None
    post_address: PersonalText | None = None

    @model_validator(mode="after")
    def _can_be_paid(self) -> "Payee":
        rule = unpayable(self)
        if rule is not None:
            raise ValueError(rule)
        return self


def unpayable(payee: Payee) -> str | None:
    """Name the rule that these details break, or None."""
    if payee.mechanism == "iban" and (
        payee.iban is None or not is_iban(compact(payee.iban.reveal()))
    ):
        return "iban_check_digits"
    if payee.mechanism == "card" and (
        payee.card is None or not is_card(compact(payee.card.reveal()))
    ):
        return "card_check_digit"
    if payee.mechanism == "post" and payee.post_address is None:
        return "post_address_missing"
    return None


def sealed(payee: Payee, key: PublicKey) -> bytes:
    """Seal details so that only payments opens them."""
    return seal(key, payee.model_dump_json(exclude_none=True, context=dict(REVEAL)).encode())


def opened(keys: KeyRing, box: bytes, payout_id: PayoutId | None = None) -> Payee:
    """Open sealed details.

    Args:
        payout_id: whose payee this is; the problem names it.

    Raises:
        Locked: the key is not loaded.
        Problem: they are damaged or break a rule; the member `rule` says which.
    """
    key = keys.private(PAYMENTS)
    try:
        return Payee.model_validate_json(unseal(key, box))
    except DecryptionFailed:
        raise problem("payee-unusable", rule="cannot_be_opened", payout_id=payout_id) from None
    except ValidationError as error:
        # pydantic's own text would repeat the input.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        rule = str(first["msg"]).removeprefix("Value error, ")
        known = {"iban_check_digits", "card_check_digit", "post_address_missing"}
        raise problem(
            "payee-unusable", rule=rule if rule in known else "fields", payout_id=payout_id
        ) from None


async def keep(tx: Tx, batch: Sequence[Received[PayeeSealedV1]]) -> None:
    """Keep what intake sealed, as it is; what was corrected takes the place of the old."""
    rows: list[tuple[PayeeRef, NeedId, str | None, bytes, int, UUID | None]] = []
    corrections: dict[NeedId, Received[PayeeSealedV1]] = {}
    for item in batch:
        try:
            box = base64.b64decode(item.event.sealed, validate=True)
        except binascii.Error:
            raise Poison("sealed_is_not_base64") from None
        event = item.event
        rows.append(
            (
                event.payee_ref,
                event.need_id,
                event.mechanism,
                box,
                event.version,
                event.sealed_by,
            )
        )
        known = corrections.get(event.need_id)
        if event.version and (known is None or known.event.version < event.version):
            corrections[event.need_id] = item
    if corrections:
        # Before the details are there, so that whoever holds money meanwhile is waited for.
        await commitment_store.begin_facts(tx.conn, corrections)
        # Commitments before payouts, as everyone locks them.
        places = await commitment_store.locate(tx.conn, corrections, ("payout",))
        await commitment_store.lock(tx.conn, (each.id for each in places))
    await store.put_payees(tx.conn, rows)
    if corrections:
        await _correct(tx, corrections)
    # Of all that were corrected, also those that another one here stands for now.
    replaced = [item.event.replaces for item in batch if item.event.replaces is not None]
    if replaced:
        await inbox.blank_letters(tx.conn, replaced)


async def _correct(tx: Tx, corrections: Mapping[NeedId, Received[PayeeSealedV1]]) -> None:
    """Have what is paid for these needs go where the newest details say.

    What left already goes where it was sent; if it comes back, the new details are used.
    """
    newest = await store.corrected_payees(tx.conn, corrections)
    causes = {
        need_id: item
        for need_id, item in corrections.items()
        if newest.get(need_id) == item.event.payee_ref
    }
    places = await commitment_store.locate(tx.conn, causes, ("payout",))
    locked = await commitment_store.lock(tx.conn, (each.id for each in places if each.attempt_no))
    live = await store.lock_live_of(tx.conn, locked)
    refs: dict[CommitmentId, PayeeRef] = {}
    again: list[PayoutRow] = []
    for commitment in locked.values():
        assert commitment.need_id is not None  # noqa: S101 - it is a need's
        item = causes[commitment.need_id]
        refs[commitment.id] = item.event.payee_ref
        row = live.get(commitment.id)
        payout = None if row is None else correct(row.payout, item.event.sealed_by)
        if row is not None and payout is not None:
            again.append(replace(row, payout=payout))
            tx.emit(payout_state(again[-1]), cause=item, version=payout.version)
    for commitment_id in await store.set_payees(tx.conn, refs):
        await pickup_store.restart_clock(tx.conn, commitment_id)
    await store.save(tx.conn, again)


async def erase(tx: Tx, batch: Sequence[Received[PayeeErasedV1]]) -> None:
    """Forget whom these needs were to be paid to, unless money went there; leave a tombstone.

    Details that were paid are a payment record: they stay sealed to this office's own key until
    the legal date.
    """
    needs = {item.event.need_id: item.event.payee_ref for item in batch}
    await erasure_store.bury(tx.conn, list(needs.items()))
    await erasure_store.forget(tx.conn, kept_if_paid_from(today_in_kyiv(tx.now)), list(needs))
    await _blank_letters_of_erased(tx)


async def forget_all(tx: Tx) -> int:
    """Look at all erased needs again: payments are rejected, and legal dates come.

    It also finds what came in at the very moment of the erasure, which neither could see.
    """
    await _blank_letters_of_erased(tx)
    return await erasure_store.forget(tx.conn, kept_if_paid_from(today_in_kyiv(tx.now)))


async def _blank_letters_of_erased(tx: Tx) -> None:
    """Blank sealed details that could not be handled, whichever of a need's they were."""
    letters = await inbox.sealed_letters_by(tx.conn, "need_id")
    if letters:
        await inbox.blank_letters(tx.conn, await erasure_store.erased_among(tx.conn, letters))


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
    lines = await store.batch_lines(tx.conn, batch_id)
    if not lines:
        raise Problem(NOT_FOUND)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n", restval="")
    writer.writeheader()
    for line in lines:
        row: dict[str, str] = {}
        if line.sealed is not None:
            payee = opened(keys, line.sealed, line.payout_id)
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
            "purpose": purpose,
        }
        writer.writerow(row)
    refs = [line.payee_ref for line in lines if line.payee_ref is not None]
    await store.note_access(tx.conn, refs, by, f"payment list {batch_id}")
    return out.getvalue()


def _decimal(amount_minor: int, exponent: int) -> str:
    if exponent == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**exponent)
    return f"{whole}.{part:0{exponent}d}"


def _safe(value: str) -> str:
    """A spreadsheet takes text that begins like this for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value
