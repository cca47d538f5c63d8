"""Problems of payments: its part of the catalogue, and how refusals become answers."""

from enum import StrEnum
from typing import Final
from uuid import UUID

from aidmesh_chassis.problems import Problem, ProblemType

PROBLEMS: Final[tuple[ProblemType, ...]] = (
    ProblemType(
        "grant-not-active",
        409,
        "The grant is not active",
        "Activate or resume the grant, or record an instalment, then try again.",
    ),
    ProblemType(
        "wrong-state",
        409,
        "This step is not possible now",
        "Load it again and look at its state; perhaps somebody else was faster.",
    ),
    ProblemType(
        "budget-line-unknown",
        422,
        "The grant has no such budget line",
        "Use one of the grant's budget lines.",
    ),
    ProblemType(
        "budget-lines-unfit",
        422,
        "A budget line is named twice, or as overhead is",
        "Give each line a code of its own; `overhead` is kept for what the grant pays for it.",
    ),
    ProblemType(
        "amount-is-zero",
        422,
        "The amount is nothing",
        "Send an amount that is worth at least one minor unit of the grant's currency.",
    ),
    ProblemType(
        "paid-amount-unfit",
        422,
        "What the donor paid does not fit what is credited",
        "Where the donor paid in another currency than the grant's, send paid_minor and"
        " paid_currency together; otherwise send neither.",
    ),
    ProblemType(
        "received-already",
        409,
        "This money was entered already",
        "The grant has an instalment of this day and amount with this bank reference. If the donor"
        " paid twice, enter the second with its own reference; if the first did not come, reverse"
        " it.",
    ),
    ProblemType(
        "unknown-purchase-line",
        422,
        "The purchase has no such line of goods",
        "Name lines of goods by their numbers; see GET /v1/purchases/{id}.",
    ),
    ProblemType(
        "came-back-too-early",
        422,
        "The money came back before it was paid",
        "Correct the day. If it was never paid like that, leave the day out.",
    ),
    ProblemType(
        "money-not-received",
        409,
        "The grant has not received so much",
        "Allot less, or record the instalment when it has come in.",
    ),
    ProblemType(
        "budget-line-exceeded",
        409,
        "The budget line does not allow so much",
        "Allot less, or send over_line_reason and have a second person approve the request.",
    ),
    ProblemType(
        "budget-lines-exceed-grant",
        422,
        "The budget lines promise more than the grant",
        "Lower a line or the overhead, so that together they are at most the grant's amount.",
    ),
    ProblemType(
        "second-person-needed",
        409,
        "This takes a second person",
        "Have somebody else do this step: who drew it up or approved it may not.",
    ),
    ProblemType(
        "allotment-short",
        409,
        "The allotment has not so much free",
        "Allot more to it first, or take less; what other needs and orders let go of is free"
        " again.",
    ),
    ProblemType(
        "return-above-free",
        409,
        "Not so much of this money is free",
        "Give back at most the free amount; what is committed stays until its need or order ends.",
    ),
    ProblemType(
        "more-than-proposed",
        409,
        "Not so much was proposed",
        "Prepare at most what is proposed; for more the grant's region makes another proposal.",
    ),
    ProblemType(
        "more-than-held",
        409,
        "The holder does not have so much of it",
        "Propose at most what was sent there less what came back.",
    ),
    ProblemType(
        "line-below-allotted",
        409,
        "The budget line would be less than is allotted from it",
        "Leave the line at what is allotted at least; to cut it further, have allotted money"
        " given back first.",
    ),
    ProblemType(
        "instalment-given-on",
        409,
        "The money of this instalment was given on",
        "Have allotted money given back until so much is unallotted, or reverse a refund that"
        " did not go out; then reverse the instalment.",
    ),
    ProblemType(
        "refunded-already",
        409,
        "So much was not demanded, or went back already",
        "Take off at most what is missing and what is set aside; reverse a refund first that did"
        " not go out.",
    ),
    ProblemType(
        "refund-above-set-aside",
        409,
        "Not so much is set aside for the donor",
        "Refund at most what is set aside; where the donor wants more back, enter that first.",
    ),
    ProblemType(
        "more-than-refunded",
        409,
        "Not so much was refunded",
        "Reverse at most what was sent back to the donor.",
    ),
    ProblemType(
        "difference-above-unallotted",
        409,
        "Not so much of the grant is unallotted",
        "Have allotted money given back first, or record the next instalment; then book the"
        " difference.",
    ),
    ProblemType(
        "return-reason-unknown",
        422,
        "The bank's reason is not known",
        "Send one of the ISO 20022 codes AC01, AC04, AC06, AM04, AM05.",
    ),
    ProblemType(
        "already-reviewed",
        409,
        "Nothing to review",
        "It was reviewed already, or two people paid it in the first place.",
    ),
    ProblemType(
        "period-ends-before-it-begins",
        422,
        "The period would end before it begins",
        "Send a last day that is not before the grant's first.",
    ),
    ProblemType(
        "region-unknown",
        422,
        "There is no such region",
        "Choose the own region or one that it is linked with (GET /v1/regions).",
    ),
    ProblemType(
        "regions-not-known-yet",
        503,
        "It is not known yet which regions there are",
        "Wait until the service is connected, then send the same again.",
    ),
    ProblemType(
        "same-holder",
        422,
        "The money is there already",
        "Choose another region than the one that holds it.",
    ),
    ProblemType(
        "proposal-lapsed",
        409,
        "The time for this is over",
        "Ask the grant's region to propose it again.",
    ),
    ProblemType(
        "validity-over",
        409,
        "The last day of this allotment is over",
        "Leave the money in its grant and allot it anew, with another last day.",
    ),
    ProblemType(
        "conflicts-open",
        409,
        "What it said too late was not all seen to",
        "Look at every conflict of that region (GET /v1/conflicts), and close each with a note.",
    ),
    ProblemType(
        "outcome-unproven",
        409,
        "It may have been paid already",
        "This region was restored from a backup, or the office that was to pay it is lost. Look at"
        " the bank's statement and the cash book. What was paid is recorded as it is"
        " (POST /v1/unproven/{id}:paid); clear only what was not (POST /v1/unproven:clear), then"
        " pay it.",
    ),
    ProblemType(
        "rate-missing",
        422,
        "There is no exchange rate",
        "Send rate, rate_on and rate_source, or record a rate under /v1/rates first.",
    ),
    ProblemType(
        "rate-unfit",
        422,
        "That is no exchange rate",
        "Send a decimal number greater than zero, between two different currencies.",
    ),
    ProblemType(
        "restriction-misfit",
        409,
        "The donor does not allow this use",
        "Choose an allotment whose terms fit; the member `misfit` says what does not.",
    ),
    ProblemType(
        "day-in-future",
        422,
        "That day has not come yet",
        "Give the day on which the money moved, today in Kyiv at the latest.",
    ),
    ProblemType(
        "code-taken",
        409,
        "There is one with this name already",
        "Use the one that is there, or choose another name or code.",
    ),
    ProblemType(
        "row-changed",
        409,
        "This row came before with other content",
        "Correct what it made instead of sending the row again, or use a new row_id.",
    ),
    ProblemType(
        "unknown-row",
        404,
        "The row names nothing that is here",
        "Check the id or code in this row.",
    ),
    ProblemType(
        "payout-id-needed",
        409,
        "The need has several payouts that may be meant",
        "Send the row again with the payout_id of the one that was paid, as on the payment list.",
    ),
    ProblemType(
        "paid-elsewhere",
        409,
        "Another region's office pays this",
        "Wait for its answer, or ask it back (cancel); once it has left, that office settles it."
        " Two leads declare a region lost that answers no more: then it is settled here.",
    ),
    ProblemType(
        "order-not-vouched",
        409,
        "The grant does not say that this office pays for that region",
        "Wait until the region's news of its allotment has come, or ask its finance people.",
    ),
    ProblemType(
        "payee-unusable",
        422,
        "The payee details cannot be used",
        "Have the details registered again; the member `rule` names the rule.",
    ),
    ProblemType(
        "payee-not-here",
        409,
        "The payee details have not come yet",
        "Above the float limit nobody approves what goes nobody knows where. Wait a moment and try"
        " again; if they still do not come, have them entered again at the need.",
    ),
    ProblemType(
        "not-proposed",
        409,
        "This is not proposed, or not so much of it",
        "Look again at what waits and what could serve it; somebody else may have been faster.",
    ),
    ProblemType(
        "week-below-move",
        422,
        "A week's most is below that of one move",
        "Raise week_max_minor, or lower move_max_minor.",
    ),
    ProblemType(
        "payee-erased",
        409,
        "Whom this need was for was erased",
        "Keep no details of them; let the money of a payment that came back go (give-up).",
    ),
)
"""Payments' part of the catalogue."""

_BY_SLUG = {kind.slug: kind for kind in PROBLEMS}


def problem(
    slug: str | StrEnum,
    *,
    misfit: str | None = None,
    rule: str | None = None,
    payout_id: UUID | None = None,
) -> Problem:
    """The problem of a slug, or of a refusal whose value is one, with what else is known."""
    found = Problem(_BY_SLUG[str(slug)])
    known = {"misfit": misfit, "rule": rule, "payout_id": payout_id}
    found.extra.update((name, str(value)) for name, value in known.items() if value is not None)
    return found
