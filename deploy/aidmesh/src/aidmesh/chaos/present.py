"""What a region said it had accepted, and whether it is in its books. Pure."""

from collections.abc import Collection, Iterator, Mapping
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
    corrected = {op.facts["need"] for op in known.book.accepted("correct_payee")}
    for op in known.book.accepted():
        missing = _missing(op, known.world[op.region], corrected)
        if missing is not None:
            what, about = missing
            named = tuple(dict.fromkeys(filter(None, (about, *op.named))))
            yield Violation("accepted is present", op.region, f"{op.what}: {what}", named)


def _missing(op: Op, seen: Seen, corrected: Collection[str]) -> tuple[str, str] | None:
    """What is not there of an operation that was accepted, and of what it is.

    Args:
        corrected: needs whose payee was: what was approved of them is approved anew.
    """
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
            if payout is None or (payout.state == "draft" and facts["need"] not in corrected):
                return f"payout {text(op.answer, 'id')} is not approved", facts["need"]
        case "settle" | "settle_order":
            place = seen.payouts if op.what == "settle" else seen.orders
            paid = place.get(facts["payout"])
            # Whether it came back is another operation; sums say if nobody said so.
            if paid is None or paid.state not in ("settled", "returned"):
                return f"payout {facts['payout']} is {paid}", facts["payout"]
            if paid.bank_reference != facts["reference"]:
                return f"payout {facts['payout']} is {paid}", facts["payout"]
        case "reject_payout" | "reject_order" | "return_paid" | "return_order":
            place = seen.orders if op.what.endswith("order") else seen.payouts
            failed = place.get(facts["payout"])
            wanted = "rejected" if op.what.startswith("reject") else "returned"
            if failed is None or failed.state != wanted:
                return f"payout {facts['payout']} is {failed}", facts["payout"]
        case "redo":
            again = text(op.answer, "payout_id")
            if again not in seen.payouts:
                return f"payout {again} is not there", again
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
        case "dispatch" | "take_manifest" | "count":
            state = seen.shipments.get(facts["shipment"])
            if state not in ("dispatched", "receiving", "received"):
                return f"shipment {facts['shipment']} is {state}", facts["shipment"]
        case "cancel_shipment":
            state = seen.shipments.get(facts["shipment"])
            if state != "cancelled":
                return f"shipment {facts['shipment']} is {state}", facts["shipment"]
        case "erase":
            if facts["person"] not in seen.erased:
                return f"person {facts['person']} is not erased", facts["person"]
        case "settle_difference":
            if facts["discrepancy"] not in seen.settled:
                return f"discrepancy {facts['discrepancy']} is open", facts["discrepancy"]
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
        case "accept_rule" | "ask_rule" | "refer_rule" | "wait_rule":
            rule = text(op.answer, "rule_id")
            if rule not in seen.rules:
                return f"rule {rule} is not there", rule
        case "end_accept_rule" | "end_ask_rule" | "end_refer_rule" | "end_wait_rule":
            ended = seen.rules.get(facts["rule"])
            if ended is None or ended.in_force:
                return f"rule {facts['rule']} has not ended", facts["rule"]
        case "aside_goods" | "aside_wait":
            if facts["key"] not in seen.aside:
                return f"{facts['key']} is not set aside", facts["key"]
    return None
