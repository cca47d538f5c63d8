"""What a region said it had accepted, and whether it is in its books. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from aidmesh.chaos.book import Op, text
from aidmesh.chaos.compare import Known
from aidmesh.chaos.snapshot import Seen
from aidmesh.chaos.violation import Violation

_ASK_STATES: Final[Mapping[str, frozenset[str]]] = {
    "prepare_move": frozenset({"prepared", "returned", "declined", "withdrawn"}),
    "consent_move": frozenset({"returned"}),
    "decline_move": frozenset({"declined"}),
}
"""Where an ask of a grantor may be at its holder, by what was accepted of it."""


def accepted_is_present(known: Known) -> Iterator[Violation]:
    """What a region said it had accepted is in its books."""
    for op in known.book.accepted():
        missing = _missing(op, known.world[op.region])
        if missing is not None:
            what, about = missing
            yield Violation("accepted is present", op.region, f"{op.what}: {what}", (about,))


def _missing(op: Op, seen: Seen) -> tuple[str, str] | None:
    """What is not there of an operation that was accepted, and of what it is."""
    facts = op.facts
    match op.what:
        case "receive":
            receipt = text(op.answer, "receipt_id")
            came = seen.receipts.get(receipt, 0)
            if came != int(facts["quantity"]):
                return f"receipt {receipt} has {came} of {facts['quantity']} pieces", receipt
        case "told":
            need = seen.needs.get(facts["need"])
            if need is None or not need.was_told:
                return f"nothing says that need {facts['need']} was told", facts["need"]
        case "check_out":
            stay = seen.reservations.get(facts["reservation"])
            if stay is None or not stay.left:
                return f"the guest of {facts['reservation']} never left", facts["need"]
        case "approve":
            payout = seen.payouts.get(text(op.answer, "id"))
            if payout is None or payout.state == "draft":
                return f"payout {text(op.answer, 'id')} is not approved", facts["need"]
        case "settle" | "settle_order":
            place = seen.payouts if op.what == "settle" else seen.orders
            paid = place.get(facts["payout"])
            if paid is None or (paid.state, paid.bank_reference) != ("settled", facts["reference"]):
                return f"payout {facts['payout']} is {paid}", facts["payout"]
        case "instalment":
            amount = seen.instalments.get(facts["reference"], 0)
            if amount != int(facts["amount_minor"]):
                return f"instalment {facts['reference']}: {amount}", facts["grant"]
        case "ask_goods":
            transfer = text(op.answer, "transfer_id")
            if transfer not in seen.transfers:
                return f"transfer {transfer} is not there", transfer
        case "accept_goods" | "refuse_goods" | "withdraw_goods":
            # Whoever asked may have withdrawn it after it was answered.
            answered = {"accept_goods": "accepted", "refuse_goods": "refused"}.get(op.what)
            if seen.transfers.get(facts["transfer"]) not in (answered, "withdrawn"):
                state = seen.transfers.get(facts["transfer"])
                return f"transfer {facts['transfer']} is {state}", facts["transfer"]
        case "dispatch" | "count":
            state = seen.shipments.get(facts["shipment"])
            if state not in ("dispatched", "receiving", "received"):
                return f"shipment {facts['shipment']} is {state}", facts["shipment"]
        case "cancel_shipment":
            state = seen.shipments.get(facts["shipment"])
            if state != "cancelled":
                return f"shipment {facts['shipment']} is {state}", facts["shipment"]
        case "refer":
            offer = text(op.answer, "referral_id")
            if offer not in seen.offers:
                return f"referral {offer} is not there", facts["need"]
        case "withdraw_referral":
            if seen.offers.get(facts["referral"]) != "withdrawn":
                state = seen.offers.get(facts["referral"])
                return f"referral {facts['referral']} is {state}", facts["referral"]
        case "refuse_referral":
            if seen.referrals.get(facts["referral"]) not in ("refused", "withdrawn"):
                state = seen.referrals.get(facts["referral"])
                return f"referral {facts['referral']} is {state}", facts["referral"]
        case "look_for":
            lookup = text(op.answer, "lookup_id")
            if seen.lookups.get(lookup) != "matched":
                return f"query {lookup} is {seen.lookups.get(lookup)}", facts["person"]
        case "propose_move":
            proposal = text(op.answer, "rebalancing_id")
            if proposal not in seen.proposals:
                return f"proposal {proposal} is not there", facts["allotment"]
        case "prepare_move" | "decline_move" | "consent_move":
            state = seen.return_asks.get(facts["proposal"])
            if state not in _ASK_STATES[op.what]:
                return f"what was asked back by {facts['proposal']} is {state}", facts["proposal"]
        case "accept_rule" | "ask_rule" | "refer_rule":
            rule = text(op.answer, "rule_id")
            if rule not in seen.rules:
                return f"rule {rule} is not there", rule
        case "end_accept_rule" | "end_ask_rule" | "end_refer_rule":
            ended = seen.rules.get(facts["rule"])
            if ended is None or ended.in_force:
                return f"rule {facts['rule']} has not ended", facts["rule"]
    return None
