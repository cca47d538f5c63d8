"""What rules did, against the bounds that people set for them. Pure.

What a rule does is in nobody's answer: it is what the mesh says a rule did. So it is held to what
the rule was set for, and what came of it is compared at both ends like everything else.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from aidmesh.chaos.compare import Known
from aidmesh.chaos.snapshot import Seen
from aidmesh.chaos.violation import Violation

BOUNDS: Final = "rules keep to their bounds"
CHOSEN: Final = "needs are chosen by people alone"
KINDS: Final = ("accept_rule", "ask_rule", "refer_rule", "wait_rule")


def rules_keep_their_bounds(known: Known) -> Iterator[Violation]:
    """No rule promised, asked for, offered or sent more than it may, or what it is not for."""
    for seen in known.world.values():
        for rule_id, rule in seen.rules.items():
            if rule.used > rule.most:
                what = f"rule {rule_id} may use {rule.most}, and has used {rule.used}"
                yield Violation(BOUNDS, seen.region, what, (rule_id, *_done_by(seen, rule_id)))
    yield from _offers(known)
    yield from _moves(known)


def choices_stand(known: Known) -> Iterator[Violation]:
    """To be served by rule are the needs that people chose, and left to it, and no others."""
    for seen in known.world.values():
        chosen, left = (
            {op.facts["need"] for op in known.book.accepted(what) if op.region == seen.region}
            for what in ("choose", "unchoose")
        )
        for need_id in seen.chosen ^ (chosen - left):
            is_chosen = "is" if need_id in seen.chosen else "is not"
            what = f"need {need_id} {is_chosen} to be served by rule"
            yield Violation(CHOSEN, seen.region, what, (need_id,))


def _done_by(seen: Seen, rule_id: str) -> list[str]:
    """Needs that a rule offered, and allotments and proposals by which it sent money."""
    moves = [each for each in seen.moved_by_rule.values() if str(each.rule_id) == rule_id]
    return [
        *(need_id for need_id, rule in seen.offered_by_rule.items() if rule == rule_id),
        *(str(each.allotment_id or each.proposal) for each in moves),
    ]


def set_rules(known: Known) -> Mapping[str, Mapping[str, str]]:
    """What each rule is for, as it was set."""
    return {str(op.answer.get("rule_id")): op.facts for op in known.book.accepted(*KINDS)}


def _offers(known: Known) -> Iterator[Violation]:
    chosen = {op.facts["need"] for op in known.book.accepted("choose")}
    rules = set_rules(known)
    for seen in known.world.values():
        for need_id, rule_id in seen.offered_by_rule.items():
            if rule_id not in rules:
                what = f"nobody set rule {rule_id}, which offered need {need_id}"
                yield Violation(BOUNDS, seen.region, what, (need_id,))
            elif rules[rule_id].get("chosen_only") and need_id not in chosen:
                what = f"rule {rule_id} offered need {need_id}, which nobody chose"
                yield Violation(BOUNDS, seen.region, what, (need_id,))


def _moves(known: Known) -> Iterator[Violation]:
    rules = set_rules(known)
    for seen in known.world.values():
        for move in seen.moved_by_rule.values():
            rule_id = str(move.rule_id)
            facts = rules.get(rule_id)
            if facts is None:
                what = f"nobody set rule {rule_id}, which sent {move.amount_minor}"
            elif move.amount_minor > int(facts["move_max_minor"]):
                what = f"rule {rule_id} sent {move.amount_minor} at once"
            elif move.region not in facts["regions"].split(","):
                what = f"rule {rule_id} sent money to {move.region}"
            else:
                continue
            sent = str(move.allotment_id or move.proposal)
            yield Violation(BOUNDS, seen.region, what, (rule_id, sent))
