"""What the forms of a grant mean: the bodies that payments is sent. No I/O."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aidmesh_console import i18n
from aidmesh_console.clients.payments_views import WholeGrant
from aidmesh_console.forms import Form, as_text, filled
from aidmesh_console.pages.common import CURRENCIES

DECISIONS: Final = ("activate", "suspend", "resume", "close")
"""Steps of a grant that have no fields."""
DIFFERENCES: Final = ("more", "less")
"""What a conversion cost, against its booked rate."""
OVERHEAD: Final = "overhead"
"""The budget line that follows the grant's amount by its rate."""


def order_of(grant_id: UUID, form: Form) -> Mapping[str, object]:
    """The body of `POST /v1/allotments`; what is missing is in `form.faults`."""
    currency = form.choice("currency", (*CURRENCIES, form.text("grant_currency") or "UAH")) or "UAH"
    rate_on, rate_source = form.day("rate_on"), form.text("rate_source")
    if (rate_on or rate_source) and form.text("rate") is None:
        # They would say nothing of the newest rate, which is taken then.
        form.faults["rate"] = "missing"
    return filled(
        {
            "grant_id": str(grant_id),
            "budget_line": form.code("budget_line"),
            "to_region": form.code("to_region"),
            "amount_minor": form.money("amount", currency, needed=True),
            "currency": currency,
            "rate": form.rate("rate"),
            "rate_on": as_text(rate_on),
            "rate_source": rate_source,
            "valid_until": as_text(form.day("valid_until")),
            "over_line_reason": form.text("over_line_reason"),
        }
    )


def step_of(step: str, grant: WholeGrant, form: Form) -> Mapping[str, object]:
    """The body of a step of a grant; what is missing is in `form.faults`."""
    if step == "amend":
        return _amendment(grant, form)
    if step in DECISIONS:
        return {}
    field = step.replace("-", "_")
    amount = form.money(f"{field}_amount", grant.currency, needed=True)
    body: dict[str, object] = {"on": (form.day(f"{field}_on") or i18n.today()).isoformat()}
    if step == "book-difference":
        cheaper = form.choice(f"{field}_way", DIFFERENCES) == "less"
        body["loss_minor"] = -(amount or 0) if cheaper else amount
    else:
        body["amount_minor"] = amount
    name = "bank_reference" if step == "refund" else "reason"
    return body | {name: form.text(f"{field}_{name}", needed=True)}


def instalment_of(grant: WholeGrant, form: Form) -> Mapping[str, object]:
    """The row of `POST /v1/instalments:bulk`; what is missing is in `form.faults`."""
    expected_id = form.uuid("instalment")
    paid = _paid(grant, form)
    came_on = form.day("came_on", needed=expected_id is not None or bool(paid))
    row = {
        "instalment_id": as_text(expected_id),
        "grant": grant.code,
        "amount_minor": form.money("came_amount", grant.currency, needed=True),
        "bank_reference": form.text("came_reference", needed=came_on is not None),
        "received_on": as_text(came_on),
        **paid,
    }
    if expected_id is None and came_on is None and not paid:
        row["expected_on"] = as_text(form.day("expected_on", needed=True))
    return filled(row)


def _paid(grant: WholeGrant, form: Form) -> Mapping[str, object]:
    """What the donor paid in another currency than the grant's: both fields, or neither."""
    if not (form.text("paid_amount") or form.text("paid_currency")):
        return {}
    others = [each for each in CURRENCIES if each != grant.currency]
    currency = form.choice("paid_currency", others)
    amount = form.money("paid_amount", currency or grant.currency, needed=True)
    return {"paid_minor": amount, "paid_currency": currency}


def _amendment(grant: WholeGrant, form: Form) -> Mapping[str, object]:
    last = form.day("period_to")
    lines = [
        {"code": line.code, "amount_minor": amount}
        for line in grant.budget_lines
        if line.code != OVERHEAD
        and (amount := form.money(f"line_{line.code}", grant.currency)) is not None
    ]
    amount = form.money("new_amount", grant.currency)
    if not (lines or amount or last or form.faults):
        form.faults["new_amount"] = "missing"
    return filled(
        {
            "amount_minor": amount,
            "period_to": as_text(last),
            "budget_lines": lines or None,
            "reason": form.text("amend_reason", needed=True),
            "terms_version": form.whole("terms_version", needed=True),
        }
    )
