"""Payee details: kept sealed, opened only for a payment list, and every opening is noted."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aidmesh_chassis import inbox
from aidmesh_chassis.crypto import DecryptionFailed, PublicKey, seal
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.privacy import REVEAL, PersonalText
from aidmesh_contracts.accounts import Mechanism, compact, is_card, is_iban
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import CommitmentId, NeedId, PayeeRef, PayoutId
from aidmesh_contracts.intake import PayeeErasedV1, PayeeSealedV1
from aidmesh_contracts.retention import kept_if_paid_from
from aidmesh_payments.domain.payout import correct
from aidmesh_payments.handlers.asking import ask_back, ask_back_erased
from aidmesh_payments.handlers.ending import payout_state
from aidmesh_payments.problems import problem
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import erasure as erasure_store
from aidmesh_payments.store import payees as store
from aidmesh_payments.store import payouts as payout_store
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
    try:
        return Payee.model_validate_json(keys.unseal(PAYMENTS, box))
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
    needs = {item.event.need_id for item in batch}
    # Before the details are there, so that whoever holds money or draws up a payout meanwhile is
    # waited for: neither would see what the other one writes.
    await commitment_store.begin_facts(tx.conn, needs)
    # Commitments before payouts, as everyone locks them.
    places = await commitment_store.locate(tx.conn, needs, ("payout",))
    await commitment_store.lock(tx.conn, (each.id for each in places))
    await store.put(tx.conn, rows)
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
    newest = await store.corrected(tx.conn, corrections)
    causes = {
        need_id: item
        for need_id, item in corrections.items()
        if newest.get(need_id) == item.event.payee_ref
    }
    places = await commitment_store.locate(tx.conn, causes, ("payout",))
    locked = await commitment_store.lock(tx.conn, (each.id for each in places if each.attempt_no))
    live = await payout_store.lock_live_of(tx.conn, locked)
    refs: dict[CommitmentId, PayeeRef] = {}
    again: list[PayoutRow] = []
    for commitment in locked.values():
        assert commitment.need_id is not None  # noqa: S101 - it is a need's
        item = causes[commitment.need_id]
        refs[commitment.id] = item.event.payee_ref
        row = live.get(commitment.id)
        if row is not None and row.is_awaited:
            again.append(ask_back(tx, row, "corrected"))
            continue
        payout = None if row is None else correct(row.payout, item.event.sealed_by)
        if row is not None and payout is not None:
            asked = None if row.withdrawal == "corrected" else row.withdrawal
            again.append(replace(row, payout=payout, withdrawal=asked))
            tx.emit(payout_state(again[-1]), cause=item, version=payout.version)
    for commitment_id in await store.redirect(tx.conn, refs):
        await pickup_store.restart_clock(tx.conn, commitment_id)
    await payout_store.save(tx.conn, again)


async def erase(tx: Tx, batch: Sequence[Received[PayeeErasedV1]]) -> None:
    """Forget whom these needs were to be paid to, unless money went there; leave a tombstone.

    Details that were paid are a payment record: they stay sealed to this office's own key until
    the legal date.
    """
    needs = {item.event.need_id: item.event.payee_ref for item in batch}
    await erasure_store.bury(tx.conn, list(needs.items()))
    await erasure_store.forget(tx.conn, kept_if_paid_from(day_of(tx.now)), list(needs))
    await ask_back_erased(tx, needs)
    await _blank_letters_of_erased(tx)


async def forget_all(tx: Tx) -> int:
    """Look at all erased needs again: payments are rejected, and legal dates come.

    It also finds what came in at the very moment of the erasure, which neither could see.
    """
    await _blank_letters_of_erased(tx)
    return await erasure_store.forget(tx.conn, kept_if_paid_from(day_of(tx.now)))


async def _blank_letters_of_erased(tx: Tx) -> None:
    """Blank sealed details that could not be handled, whichever of a need's they were."""
    letters = await inbox.sealed_letters_by(tx.conn, "need_id")
    if letters:
        await inbox.blank_letters(tx.conn, await erasure_store.erased_among(tx.conn, letters))
