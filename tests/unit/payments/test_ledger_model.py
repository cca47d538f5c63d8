"""Money of two grants in two currencies, through everything that happens to it, against plain sums.

The machine decides and books as the handlers do: a decision of `grants`, `allotments` or
`commitments`, and the journals that go with it. The model beside it keeps what a person would note
on paper, and says of each step whether it is to be refused.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId
from aidmesh_payments.domain import commitments, grants, ledger
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.domain.commitments import Commitment, Purpose
from aidmesh_payments.domain.grants import Grant, Granted, GrantRefusal, Line
from aidmesh_payments.domain.ledger import Journal
from aidmesh_payments.domain.money import to_grant_currency
from unit.payments.paper import Paid, Purse, Till, accounts, balances

CURRENCIES = ("EUR", "UAH")
RATES = ("40", "41.25", "0.0243", "1.005", "39.9999")
MAKER = UUID(int=1)
DAY = date(2024, 5, 6)
NOW = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)

amounts = st.integers(1, 300)
Size = tuple[str, int]
sizes: st.SearchStrategy[Size] = st.tuples(
    st.sampled_from(["some", "some", "all", "over"]), amounts
)
currencies = st.sampled_from(CURRENCIES)
rates = st.sampled_from(RATES)
choices = st.integers(0, 99)
purposes: st.SearchStrategy[Purpose] = st.sampled_from(["payout", "provider"])


class Books(RuleBasedStateMachine):
    """A grant in each currency, its allotments in both, and the ledger."""

    instalments = Bundle("instalments")
    allotments = Bundle("allotments")

    @initialize(target=allotments)
    def begin(self) -> object:
        self.last_id = 100
        self.grants = {
            each: Grant(GrantId(self._id()), each, 10**9, "active") for each in CURRENCIES
        }
        self.lines = {each: Line("aid", 10**12, 0) for each in CURRENCIES}
        self.purses = {each: Purse() for each in CURRENCIES}
        self.held: dict[AllotmentId, Allotment] = {}
        self.granted: dict[AllotmentId, Granted] = {}
        self.tills: dict[AllotmentId, Till] = {}
        self.commitments: dict[CommitmentId, Commitment] = {}
        self.journals: dict[UUID, Journal] = {}
        made = [(AllotmentId(self._id()), of, to) for of in CURRENCIES for to in CURRENCIES]
        for allotment_id, of, to in made:
            self._receive(of, of, 1_000, "1")
            assert self._send(allotment_id, of, to, 500, "1.25")
        return multiple(*(allotment_id for allotment_id, _, _ in made))

    def _id(self) -> UUID:
        self.last_id += 1
        return UUID(int=self.last_id)

    def _write(self, *journals: Journal) -> None:
        for journal in journals:
            assert journal.id not in self.journals, "each is booked once"
            self.journals[journal.id] = journal

    def _serve_first(self, of: str) -> int:
        """As with every receipt: what the donor still waits for is set aside from it."""
        missing = self.purses[of].missing
        self.grants[of], still = grants.demand_back(self.grants[of], missing)
        served = self.purses[of].serve()
        assert missing - still == served
        if served:
            grant = self.grants[of]
            self._write(ledger.refund_due(self._id(), grant.id, of, served, DAY))
        return served

    @rule(target=instalments, of=currencies, by=currencies, amount=amounts, rate=rates)
    def instalment(self, of: str, by: str, amount: int, rate: str) -> object:
        """A donor pays, perhaps in another currency."""
        return self._receive(of, by, amount, rate) or multiple()

    def _receive(self, of: str, by: str, amount: int, rate: str) -> Paid | None:
        credited = amount if of == by else to_grant_currency(amount, by, of, rate)
        if not credited:
            return None
        self.grants[of] = grants.receive(self.grants[of], credited)
        purse, entry_id, grant_id = self.purses[of], self._id(), self.grants[of].id
        purse.credited += credited
        purse.paid[by] += amount
        self._write(ledger.instalment(entry_id, grant_id, of, credited, amount, by, DAY, "ref"))
        return Paid(entry_id, of, credited, amount, by, self._serve_first(of))

    @rule(target=instalments, wrong=consumes(instalments))
    def reverse_instalment(self, wrong: Paid) -> object:
        """It did not come: unless it was given on, it is taken out, with its demand."""
        purse, grant = self.purses[wrong.grant], self.grants[wrong.grant]
        missing = max(0, wrong.credited - purse.free)
        decided = grants.reverse_instalment(grant, wrong.credited, wrong.set_aside)
        if isinstance(decided, GrantRefusal):
            assert missing > min(wrong.set_aside, purse.aside)
            return wrong
        assert missing <= min(wrong.set_aside, purse.aside)
        self.grants[wrong.grant], again = decided
        assert again == missing
        purse.credited -= wrong.credited
        purse.paid[wrong.currency] -= wrong.paid
        purse.aside -= missing
        purse.missing += missing
        terms = (wrong.id, grant.id, grant.currency, wrong.credited, wrong.paid, wrong.currency)
        out = ledger.instalment_reversed(*terms, DAY, "mistake")
        self._write(out)
        assert balances([self.journals[wrong.id], out]) == Counter()
        if missing:
            back = (wrong.id, grant.id, grant.currency, missing, DAY, "mistake")
            self._write(ledger.refund_due_reversed(*back))
        return multiple()

    @rule(of=currencies, size=sizes)
    def demand(self, of: str, size: Size) -> None:
        """The donor wants money back; what is not there stays missing, and is no debt."""
        purse = self.purses[of]
        amount = sized(size, purse.free)
        aside = min(amount, purse.free)
        self.grants[of], missing = grants.demand_back(self.grants[of], amount)
        assert missing == amount - aside
        purse.aside += aside
        purse.missing += missing
        if aside:
            self._write(ledger.refund_due(self._id(), self.grants[of].id, of, aside, DAY))

    @rule(of=currencies, size=sizes)
    def withdraw_demand(self, of: str, size: Size) -> None:
        purse = self.purses[of]
        amount = sized(size, purse.missing + purse.aside)
        less = min(amount, purse.missing)
        decided = grants.withdraw_demand(self.grants[of], amount, purse.missing)
        if isinstance(decided, GrantRefusal):
            assert amount - less > purse.aside
            return
        assert amount - less <= purse.aside
        self.grants[of], fewer = decided
        assert fewer == less
        purse.missing -= less
        purse.aside -= amount - less
        if amount > less:
            freed = (self._id(), self.grants[of].id, of, amount - less, DAY, "kept")
            self._write(ledger.demand_withdrawn(*freed))

    @rule(of=currencies, size=sizes)
    def refund(self, of: str, size: Size) -> None:
        amount = sized(size, self.purses[of].aside)
        decided = grants.refund(self.grants[of], amount)
        if isinstance(decided, GrantRefusal):
            assert amount > self.purses[of].aside
            return
        assert amount <= self.purses[of].aside
        self.grants[of] = decided
        self.purses[of].aside -= amount
        self.purses[of].refunded += amount
        self._write(ledger.refund(self._id(), decided.id, of, amount, DAY, "ref"))

    @rule(of=currencies, size=sizes)
    def reverse_refund(self, of: str, size: Size) -> None:
        """It did not go, or came back from the bank."""
        amount = sized(size, self.purses[of].refunded)
        decided = grants.reverse_refund(self.grants[of], amount)
        if isinstance(decided, GrantRefusal):
            assert amount > self.purses[of].refunded
            return
        assert amount <= self.purses[of].refunded
        self.grants[of] = decided
        self.purses[of].refunded -= amount
        self.purses[of].aside += amount
        self._write(ledger.refund_reversed(self._id(), decided.id, of, amount, DAY, "returned"))

    @rule(of=currencies, size=sizes, sign=st.sampled_from([1, -1]))
    def exchange_difference(self, of: str, size: Size, sign: int) -> None:
        """A bank converted at another rate than the booked one."""
        loss = sign * sized(size, self.purses[of].free)
        decided = grants.book_exchange_difference(self.grants[of], loss)
        if isinstance(decided, GrantRefusal):
            assert loss > self.purses[of].free
            return
        assert loss <= self.purses[of].free
        self.grants[of] = decided
        self.purses[of].loss += loss
        self._write(ledger.exchange_difference(self._id(), decided.id, of, loss, DAY, "bank"))

    @rule(target=allotments, of=currencies, to=currencies, size=sizes, rate=rates)
    def allot(self, of: str, to: str, size: Size, rate: str) -> object:
        """Money leaves a grant for a holder, here the same region."""
        amount = sized(size, self.purses[of].free)
        made = AllotmentId(self._id())
        return made if self._send(made, of, to, amount, rate) else multiple()

    @rule(allotment_id=allotments, amount=amounts, rate=rates)
    def raise_allotment(self, allotment_id: AllotmentId, amount: int, rate: str) -> None:
        till = self.tills[allotment_id]
        self._send(allotment_id, till.grant, till.currency, amount, rate)

    def _send(self, to_id: AllotmentId, of: str, to: str, amount: int, rate: str) -> bool:
        granted = amount if of == to else to_grant_currency(amount, to, of, rate)
        if not granted:
            return False
        decided = grants.allot(self.grants[of], self.lines[of], granted, MAKER)
        if isinstance(decided, GrantRefusal):
            assert granted > self.purses[of].free
            return False
        assert granted <= self.purses[of].free
        self.grants[of], self.lines[of] = decided
        grant_id, transfer_id = self.grants[of].id, self._id()
        before = self.granted.get(to_id, Granted(0, 0))
        self.granted[to_id] = replace(
            before,
            amount_minor=before.amount_minor + amount,
            granted_minor=before.granted_minor + granted,
        )
        here = self.held.get(to_id) or Allotment(to_id, grant_id, "aid", "kyiv", to)
        till = self.tills.setdefault(to_id, Till(of, to))
        till.came += amount
        till.booked += granted
        self.purses[of].gone += granted
        sent = (transfer_id, grant_id, to_id, of, granted, to, amount, DAY)
        self._write(
            ledger.allotment_sent(*sent),
            ledger.allotment_received(transfer_id, grant_id, to_id, to, amount, DAY),
        )
        self._settle(here.credit(amount))
        return True

    @rule(allotment_id=allotments, size=sizes, rate=st.one_of(st.none(), rates))
    def give_back(self, allotment_id: AllotmentId, size: Size, rate: str | None) -> None:
        till = self.tills[allotment_id]
        amount = sized(size, till.free)
        try:
            after = self.held[allotment_id].give_back(amount)
        except NotEnough:
            assert amount > till.free
            return
        assert amount <= till.free
        self.held[allotment_id] = after
        self._credit_return(allotment_id, amount, rate)

    def _credit_return(self, from_id: AllotmentId, amount: int, rate: str | None) -> None:
        """The grant has it back, at the booked rate or at today's; the donor is served first."""
        till = self.tills[from_id]
        of, purse = till.grant, self.purses[till.grant]
        worth = None
        if rate is not None and of != till.currency:
            worth = to_grant_currency(amount, till.currency, of, rate)
        taken = grants.take_back(
            self.grants[of], self.lines[of], self.granted[from_id], amount,
            worth_minor=worth, shortfall_minor=purse.missing,
        )  # fmt: skip
        still_out = till.came - till.returned
        booked = (2 * till.booked * amount + still_out) // (2 * still_out)  # half up
        credited = booked if worth is None else worth
        assert (taken.booked_minor, taken.credited_minor) == (booked, credited)
        till.returned += amount
        till.booked -= booked
        purse.gone -= booked
        purse.loss += booked - credited
        assert taken.set_aside_minor == purse.serve()
        self.grants[of], self.lines[of] = taken.grant, taken.line
        self.granted[from_id] = taken.granted
        transfer_id, grant_id = self._id(), taken.grant.id
        back = (transfer_id, grant_id, from_id, of, booked, credited, till.currency, amount, DAY)
        self._write(
            ledger.return_sent(transfer_id, grant_id, from_id, till.currency, amount, DAY),
            ledger.return_received(*back),
        )
        if taken.set_aside_minor:
            aside = (self._id(), grant_id, of, taken.set_aside_minor, DAY)
            self._write(ledger.refund_due(*aside))

    @rule(allotment_id=allotments)
    def recall(self, allotment_id: AllotmentId) -> None:
        """What is free goes back at once, and the rest as it becomes free."""
        self._settle(self.held[allotment_id].recall())

    def _settle(self, changed: Allotment) -> None:
        settled, free = changed.settle()
        self.held[changed.id] = settled
        if free:
            self._credit_return(changed.id, free, None)
        assert settled.status == "active" or self.tills[changed.id].free == 0

    @rule(allotment_id=allotments, size=sizes, purpose=purposes)
    def hold(self, allotment_id: AllotmentId, size: Size, purpose: Purpose) -> None:
        """Money for a need."""
        self._bind(allotment_id, size, purpose, "held")

    @rule(allotment_id=allotments, size=sizes)
    def purchase(self, allotment_id: AllotmentId, size: Size) -> None:
        """Goods are ordered: committed at once."""
        self._bind(allotment_id, size, "purchase", "committed")

    def _bind(
        self,
        allotment_id: AllotmentId,
        size: Size,
        purpose: Purpose,
        state: Literal["held", "committed"],
    ) -> None:
        till, before = self.tills[allotment_id], self.held[allotment_id]
        amount = sized(size, till.free)
        try:
            after = before.hold(amount) if state == "held" else before.commit_free(amount)
        except NotEnough:
            assert amount > till.free or before.status != "active"
            return
        assert amount <= till.free
        assert before.status == "active"
        if state == "held":
            till.held += amount
        else:
            till.committed += amount
        made = CommitmentId(self._id())
        self.commitments[made] = Commitment(
            made, None, 1, allotment_id, before.grant_id, amount, till.currency, purpose, state,
            "food", hold_until=NOW + timedelta(minutes=15) if state == "held" else None,
        )  # fmt: skip
        self._settle(after)

    @precondition(lambda self: self._all("held"))
    @rule(choice=choices, minutes=st.sampled_from([0, 14, 15, 20]))
    def confirm(self, choice: int, minutes: int) -> None:
        before = self._one(choice, "held")
        firm = commitments.confirm(before, NOW + timedelta(minutes=minutes))
        if firm is None:
            assert minutes >= 15
            return
        assert minutes < 15
        till = self.tills[before.allotment_id]
        till.held -= before.amount_minor
        till.committed += before.amount_minor
        self.commitments[firm.id] = firm
        self._settle(self.held[before.allotment_id].commit(before.amount_minor))

    @precondition(lambda self: self.commitments)
    @rule(choice=choices)
    def release(self, choice: int) -> None:
        before = self._one(choice, "held", "committed", "spent", "released")
        released = commitments.release(before, "withdrawn")
        if before.state not in ("held", "committed"):
            assert released is None
            return
        assert released is not None
        till, here = self.tills[before.allotment_id], self.held[before.allotment_id]
        if before.state == "held":
            till.held -= before.amount_minor
            here = here.release_held(before.amount_minor)
        else:
            till.committed -= before.amount_minor
            here = here.release_committed(before.amount_minor)
        self.commitments[released.id] = released
        self._settle(here)

    @precondition(lambda self: self._all("committed"))
    @rule(choice=choices)
    def pay(self, choice: int) -> None:
        """A payout is settled, a provider's or a supplier's bill is paid."""
        before = self._one(choice, "committed")
        paid = commitments.spend(before, DAY)
        assert paid.spend_no == before.spend_no + 1
        self.commitments[paid.id] = paid
        till = self.tills[paid.allotment_id]
        till.committed -= paid.amount_minor
        till.spent += paid.amount_minor
        self._write(ledger.spending(paid.id, paid.spend_no, *_whose(paid), DAY))
        self._settle(self.held[paid.allotment_id].spend(paid.amount_minor))

    @precondition(lambda self: self._all("spent"))
    @rule(choice=choices)
    def unpay(self, choice: int) -> None:
        """The bank sent it back, or the service did not happen."""
        before = self._one(choice, "spent")
        self.commitments[before.id] = commitments.unspend(before)
        till = self.tills[before.allotment_id]
        till.spent -= before.amount_minor
        till.committed += before.amount_minor
        undone = (before.id, before.spend_no, *_whose(before), DAY, "returned")
        out = ledger.spending_reversed(*undone)
        self._write(out)
        booked = self.journals[ledger.spending(before.id, before.spend_no, *_whose(before), DAY).id]
        assert balances([booked, out]) == Counter()
        self._settle(self.held[before.allotment_id].reverse(before.amount_minor))

    def _all(self, *states: str) -> list[Commitment]:
        return [each for each in self.commitments.values() if each.state in states]

    def _one(self, choice: int, *states: str) -> Commitment:
        found = self._all(*states)
        return found[choice % len(found)]

    @invariant()
    def every_currency_sums_to_zero(self) -> None:
        sums: Counter[str] = Counter()
        for account, amount in balances(self.journals.values()).items():
            sums[account.currency] += amount
        assert not any(sums.values())

    @invariant()
    def the_accounts_hold_the_plain_sums(self) -> None:
        ids = {of: grant.id for of, grant in self.grants.items()}
        assert accounts(ids, self.purses, self.tills) == balances(self.journals.values())

    @invariant()
    def the_decisions_hold_them_too(self) -> None:
        for of, purse in self.purses.items():
            grant = self.grants[of]
            assert (
                grant.received_minor, grant.unallotted_minor, grant.allotted_minor,
                grant.exchange_difference_minor, grant.refund_due_minor, grant.refunded_minor,
            ) == (
                purse.credited, purse.free, purse.gone, purse.loss, purse.aside, purse.refunded,
            )  # fmt: skip
            assert self.lines[of].allotted_minor == purse.gone
        for each, till in self.tills.items():
            here = self.held[each]
            assert (here.free_minor, here.held_minor, here.committed_minor, here.spent_minor) == (
                till.free, till.held, till.committed, till.spent,
            )  # fmt: skip
            assert min(till.free, till.held, till.committed, till.spent) >= 0
            for state, whole in (
                ("held", till.held), ("committed", till.committed), ("spent", till.spent),
            ):  # fmt: skip
                mine = [one for one in self._all(state) if one.allotment_id == each]
                assert sum(one.amount_minor for one in mine) == whole
            if till.came == till.returned:
                assert till.booked == 0, "what came back whole is booked whole"


def sized(size: Size, whole: int) -> int:
    """Some, all, or more than all of something."""
    how, some = size
    return some if how == "some" else max(whole, 1) if how == "all" else whole + some


def _whose(one: Commitment) -> tuple[GrantId, AllotmentId, str, int]:
    return one.grant_id, one.allotment_id, one.currency, one.amount_minor


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
