"""What was shown on the way against what was shown later, and against the end. Pure.

Somebody in each region looks all the time. What was shown once has happened: it is never shown
further back later, whatever was killed meanwhile, and in the end it is there.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from aidmesh.chaos.compare import Known
from aidmesh.chaos.sightings import Step
from aidmesh.chaos.snapshot import Seen
from aidmesh.chaos.violation import Violation, ids_in

ONWARD: Final = "what was shown once never goes back"
BALANCED: Final = "a grant's equation holds at every moment"


def nothing_goes_back(known: Known) -> Iterator[Violation]:
    """Nothing was shown further back than before, and in the end it is no further back either."""
    for step in known.book.shown.steps:
        if step.is_back:
            what = f"{step.kind} {step.thing} was {step.before}, then {step.after}"
            yield Violation(ONWARD, step.region, what, (step.thing,))
    for (region, kind, thing), state in known.book.shown.last.items():
        now = _states(known.world[region], kind).get(thing)
        if now is None:
            what = f"{kind} {thing} was {state}, and is gone"
            yield Violation(ONWARD, region, what, (thing,))
        elif now != state and Step(region, kind, thing, state, now).is_back:
            what = f"{kind} {thing} was {state}, and is {now} in the end"
            yield Violation(ONWARD, region, what, (thing,))


def grants_add_up(known: Known) -> Iterator[Violation]:
    """Whenever somebody looked, all that a grant received was somewhere, to the cent."""
    for each in known.book.shown.unbalanced:
        what = f"grant {each.grant}: {each.what}"
        yield Violation(BALANCED, each.region, what, (each.grant, *ids_in(each.what)))


def _states(seen: Seen, kind: str) -> Mapping[str, str]:
    match kind:
        case "ask":
            return seen.transfers
        case "shipment":
            return seen.shipments
        case "offer":
            return seen.offers
        case "referral":
            return seen.referrals
        case "proposal":
            return {each: proposal.state for each, proposal in seen.proposals.items()}
        case "return_ask":
            return seen.return_asks
        case "order":
            return {each: order.state for each, order in seen.orders.items()}
    return {each: need.state for each, need in seen.needs.items()}
