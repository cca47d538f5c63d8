"""Intake, inventory and payments together, against what happened in plain numbers.

The machine drives the real services on real databases. It carries their messages itself, in any
order, late and more than once, while clocks run out and people hand over, pay, undo, cancel and
recall. Whenever everything is heard the books have to say what happened, and nobody waits for
what is free.

`--hypothesis-profile thorough` plays many more and longer ones.
"""

import random
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from aidmesh_chassis.auth import Role
from aidmesh_contracts.ids import PayoutId
from aidmesh_intake.domain.commands import OPEN
from aidmesh_intake.domain.need import Need, State
from aidmesh_intake.domain.waitlist import SLACK
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from integration.model import books
from integration.model.stage import Stage
from integration.model.town import FLOAT_LIMIT_MINOR
from integration.model.truth import ITEMS, Purse, Truth
from integration.payments.offices import CHECKER, MAKER

PICKS = st.integers(0, 11)
"""Which of those that there are."""
SEEDS = st.integers(0, 2**16)
MONEY = st.sampled_from([50_000, 80_000, 150_000, 300_000])


class Asked(NamedTuple):
    """What somebody asks for."""

    kind: str
    quantity: int = 1
    danger: bool = False


ASKS = (
    st.builds(
        Asked,
        st.sampled_from(["hiv_test", "test_delivered", "travel"]),
        st.integers(1, 2),
        st.booleans(),
    )
    | st.builds(Asked, st.sampled_from(["self_test", "counseling_paid"]), st.just(1), st.booleans())
    | st.builds(Asked, st.just("self_test"), st.integers(2, 3), st.booleans())
)


class Life(RuleBasedStateMachine):
    """One site, two grants (one of them for cash only), and people who ask."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.truth = Truth()
        self.is_quiet = False
        self.do, self.town = self.stage.do, self.stage.town
        self.do(self.town.empty())
        self.site_id = self.do(self.town.site())
        self.grants = {
            None: self.do(self.town.grant()),
            "cash": self.do(self.town.grant("cash")),
        }

    def some(self, pick: int, *states: State) -> Need | None:
        """One of the needs in these states, aid that was given before apart."""
        needs = self.do(books.needs_of(self.town))
        found = [each for each in needs if each.state in states and not each.given]
        return found[pick % len(found)] if found else None

    @initialize(
        tests=st.integers(1, 2),
        amount=MONEY,
        where=st.sampled_from(["inventory", "payments", "all"]),
        first=st.lists(ASKS, max_size=2),
        then=st.lists(ASKS, max_size=2),
        lapse=st.booleans(),
    )
    def begin(
        self,
        tests: int,
        amount: int,
        where: str,
        first: list[Asked],
        then: list[Asked],
        lapse: bool,
    ) -> None:
        """There is a little of everything, and more people than that; perhaps holds run out."""
        self.goods_come("hiv_test", tests)
        self.goods_come("hiv_self_test", 1)
        self.money_comes(amount, None)
        self.ask([Asked("hiv_test"), Asked("test_delivered"), Asked("travel"), *first])
        self.letters_are_heard(where, 0)
        self.ask([Asked("hiv_test", 1, True), Asked("travel", 1, True), *then])
        if lapse:
            self.letters_are_heard(where, 0)
            self.holds_run_out("both")
            self.quiet(0)

    @rule(asked=st.lists(ASKS, min_size=1, max_size=3))
    def ask(self, asked: list[Asked]) -> None:
        # What grew a moment before somebody was refused counts as not seen by the refusal.
        self.do(self.town.pass_time(SLACK))
        for each in asked:
            self.do(self.town.ask(kind=each.kind, quantity=each.quantity, danger=each.danger))
            self.truth.asked[each.kind] = self.truth.asked.get(each.kind, 0) + each.quantity

    @rule(item=st.sampled_from(sorted(set(ITEMS.values()))), pieces=st.integers(1, 2))
    def goods_come(self, item: str, pieces: int) -> None:
        lot_id = self.do(self.town.inventory.stock(self.site_id, pieces, item))
        self.truth.lots[lot_id] = pieces
        self.truth.items[lot_id] = item

    @rule(amount=MONEY, programme=st.sampled_from([None, None, "cash"]))
    def money_comes(self, amount: int, programme: str | None) -> None:
        allotment_id = self.do(self.town.allot(self.grants[programme], amount))
        self.truth.purses[allotment_id] = Purse(amount, programme)

    @rule(days=st.lists(st.sampled_from([1, 2, 9, 20, 22, 30]), min_size=1, max_size=2))
    def appointments_open(self, days: list[int]) -> None:
        today = self.do(self.town.today())
        for each in days:
            self.do(self.town.slot(self.site_id, today + timedelta(days=each)))

    @rule(pick=PICKS)
    def money_is_recalled(self, pick: int) -> None:
        there = [key for key, purse in self.truth.purses.items() if not purse.is_recalled]
        if len(there) > 1:
            allotment_id = there[pick % len(there)]
            self.do(self.town.recall(allotment_id))
            self.truth.purses[allotment_id].is_recalled = True

    @rule(places=st.lists(st.integers(0, 99), min_size=1, max_size=8), again=st.booleans())
    def some_letters_are_carried(self, places: list[int], again: bool) -> None:
        """In any order; `again` some that were carried before."""
        self.do(self.town.post.collect())
        there = self.town.post.carried if again else self.town.post.waiting
        if there:
            chosen = {place % len(there): None for place in places}
            self.do(self.town.post.carry([there[place] for place in chosen], again=again))

    @rule(where=st.sampled_from(["intake", "inventory", "payments", "all"]), seed=SEEDS)
    def letters_are_heard(self, where: str, seed: int) -> None:
        """All that one of them has to hear now, or all that anybody has to say."""
        self.do(self.town.post.collect())
        if where == "all":
            self.do(self.town.carry_all(random.Random(seed)))
        else:
            mine = [each for each in self.town.post.waiting if each.to == where]
            self.do(self.town.post.carry(mine))

    @rule(where=st.sampled_from(["inventory", "payments", "both", "nowhere"]))
    def holds_run_out(self, where: str) -> None:
        """And the services notice, or not yet."""
        self.do(self.town.pass_time(timedelta(minutes=16)))
        if where in ("inventory", "both"):
            self.do(self.town.sweep_inventory())
        if where in ("payments", "both"):
            self.do(self.town.sweep_payments())

    @rule()
    def answers_stay_out(self) -> None:
        """Intake has waited long enough for them, and asks anew."""
        self.do(self.town.pass_time(timedelta(minutes=17)))
        self.do(self.town.sweep_intake())

    @rule(days=st.sampled_from([1, 8, 15]))
    def people_hear_and_days_pass(self, days: int) -> None:
        """Whoever is ready is told; perhaps they come too late."""
        self.do(self.town.tell_all())
        self.do(self.town.carry_all(random.Random(days)))
        self.do(self.town.pass_time(timedelta(days=days)))

    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        need = self.some(pick, *OPEN)
        if need is not None:
            self.do(self.town.act(need.id, "cancel", body={"reason": "moved_away"}))
            self.truth.cancelled.add(need.id)

    @rule(pick=PICKS)
    def ask_again(self, pick: int) -> None:
        """A caseworker asks for one that waits, or whose payment came back."""
        need = self.some(pick, State.WAITLISTED, State.REQUESTED)
        if need is not None:
            self.do(self.town.act(need.id, "approve"))

    @rule(pick=PICKS)
    def hand_over(self, pick: int) -> None:
        """What inventory has set aside, whatever intake makes of it meanwhile."""
        rows = self.do(self.town.inventory.rows(books.RESERVATIONS))
        there = [each for each in rows if each["state"] == "confirmed"]
        if there:
            row = there[pick % len(there)]
            key = (row["need_id"], row["attempt_no"])
            assert self.do(self.town.issue(*key, row["way"])) is None
            self.truth.handed[key] = row["pieces"] or 1
            self.truth.served.add(row["need_id"])

    @rule(pick=PICKS)
    def undo(self, pick: int) -> None:
        if self.truth.handed:
            key = list(self.truth.handed)[pick % len(self.truth.handed)]
            assert self.do(self.town.undo(*key))
            del self.truth.handed[key]

    @rule(kind=st.sampled_from(["hiv_test", "travel"]))
    def enter_what_was_given(self, kind: str) -> None:
        today = self.do(self.town.today())
        need_id = self.do(self.town.ask(kind=kind, given=True, served_on=str(today)))
        self.truth.given[need_id] = (kind, 1)

    @rule(pick=PICKS)
    def it_was_not_given(self, pick: int) -> None:
        if self.truth.given:
            need_id = list(self.truth.given)[pick % len(self.truth.given)]
            self.do(self.town.act(need_id, "reverse", Role.LEAD, body={"reason": "mistake"}))
            del self.truth.given[need_id]
            self.truth.cancelled.add(need_id)

    def payout(self, pick: int, *states: str) -> dict[str, Any] | None:
        """One of the payouts in these states."""
        rows = self.do(self.town.payouts())
        found = [each for each in rows if each["state"] in states]
        return found[pick % len(found)] if found else None

    @rule(pick=PICKS, by=st.sampled_from([MAKER, CHECKER]), lists=st.booleans())
    def approve_a_payout(self, pick: int, by: UUID, lists: bool) -> None:
        """And put it on a payment list, so that it can't be stopped any more."""
        row = self.payout(pick, "draft")
        if row is None:
            return
        payout_id = PayoutId(row["id"])
        small = row["amount_minor"] <= FLOAT_LIMIT_MINOR
        refused = self.do(self.town.step("approve", payout_id, by))
        assert (refused is None) == (small or self.truth.drawn_up_by.get(payout_id) != by)
        if refused is None:
            self.truth.approved_by[payout_id] = by
            if lists:
                assert self.do(self.town.step("export", payout_id, by)) is None

    @rule(pick=PICKS, by=st.sampled_from([MAKER, CHECKER]))
    def pay(self, pick: int, by: UUID) -> None:
        """Hand the cash out, or hear from the bank that it is there."""
        row = self.payout(pick, "draft", "approved", "exported", "accepted")
        if row is not None:
            refused = self.do(self.town.step("settle", PayoutId(row["id"]), by))
            may = self.truth.may_settle(
                PayoutId(row["id"]), row["amount_minor"], by, FLOAT_LIMIT_MINOR
            )
            assert (refused is None) == may
            self.is_paid(row, refused)

    @rule(pick=PICKS)
    def word_of_cash_comes_late(self, pick: int) -> None:
        """It had been fetched in time: that is a fact, unless another payment can be stopped."""
        found = [
            each
            for each in self.do(self.town.payouts())
            if (each["state"], each["mechanism"]) == ("cancelled", "cash")
        ]
        if found:
            row = found[pick % len(found)]
            payout_id = PayoutId(row["id"])
            refused = self.do(self.town.step("settle", payout_id, CHECKER))
            may = self.truth.may_settle(payout_id, row["amount_minor"], CHECKER, FLOAT_LIMIT_MINOR)
            assert (refused is None) == may
            self.is_paid(row, refused)

    def is_paid(self, row: dict[str, Any], refused: PayoutRefusal | None) -> None:
        """Note that somebody has the money."""
        if refused is None:
            self.truth.paid[PayoutId(row["id"])] = (row["need_id"], row["amount_minor"])
            self.truth.served.add(row["need_id"])

    @rule(pick=PICKS, then=st.sampled_from(["wait", "again", "give_up"]))
    def the_bank_sends_it_back(self, pick: int, then: str) -> None:
        row = self.payout(pick, "settled")
        if row is None:
            return
        payout_id = PayoutId(row["id"])
        assert self.do(self.town.step("return", payout_id, MAKER)) is None
        del self.truth.paid[payout_id]
        if then == "again":
            again = self.do(self.town.pay_again(payout_id))
            if again is not None:
                self.truth.drawn_up_by[again] = MAKER
        elif then == "give_up" and self.do(self.town.give_up(payout_id)):
            self.truth.let_go.add(row["need_id"])

    @rule(pick=PICKS, verb=st.sampled_from(["cancel", "not_collected", "reject"]))
    def stop_a_payout(self, pick: int, verb: Verb) -> None:
        states = {"cancel": ("draft", "approved"), "not_collected": ("exported",)}
        row = self.payout(pick, *states.get(verb, ("approved", "exported")))
        if row is None:
            return
        payout_id = PayoutId(row["id"])
        assert self.do(self.town.step(verb, payout_id, MAKER)) is None
        if verb == "cancel" or (verb == "reject" and self.do(self.town.give_up(payout_id))):
            self.truth.let_go.add(row["need_id"])

    @rule(seed=SEEDS)
    def quiet(self, seed: int) -> None:
        """Everything that was said is heard, and whatever is due is done."""
        chance = random.Random(seed)
        self.do(books.calm(self.town, chance))
        self.is_quiet = True

    @invariant()
    def the_books_say_what_happened(self) -> None:
        if self.is_quiet:
            self.is_quiet = False
            self.do(books.check(self.town, self.truth))

    def teardown(self) -> None:
        self.quiet(0)
        self.the_books_say_what_happened()


@pytest.mark.timeout(3600)
def test_the_books_say_what_happened_and_nobody_waits_for_what_is_free(stage: Stage) -> None:
    Life.stage = stage
    thorough = settings.get_current_profile_name() == "thorough"
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=200 if thorough else 10,
            stateful_step_count=60 if thorough else 30,
            derandomize=not thorough,
            # Each step costs tens of milliseconds: to find the shortest failure takes minutes.
            phases=list(Phase) if thorough else [Phase.explicit, Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
