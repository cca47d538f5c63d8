"""Money of kyiv moves from lviv to odesa by proposals, over a wire that loses, doubles, reorders.

The model keeps what the databases keep. A region that is cut off is one whose messages are not
delivered for as long as hypothesis likes.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId
from aidmesh_payments.domain import grants
from aidmesh_payments.domain import rebalancing as rules
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.domain.grants import Grant, Granted, GrantRefusal, Line, Override
from aidmesh_payments.domain.rebalancing import Ask, Proposal, RebalancingRefusal

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
KATIA, ILIA, OLENA = (UUID(int=number) for number in (1, 2, 3))
PEOPLE = (KATIA, ILIA, OLENA)
LVIV, ODESA = "lviv", "odesa"


@dataclass(frozen=True)
class Message:
    """Something on the wire: a transfer, or what is said of a proposal."""

    id: UUID
    to: str
    kind: str
    about: UUID
    amount_minor: int = 0
    said: Proposal | Ask | None = None


@dataclass
class Holder:
    """What a holder's database has."""

    allotments: dict[AllotmentId, Allotment] = field(default_factory=dict)
    asks: dict[RebalancingId, Ask] = field(default_factory=dict)
    told: dict[RebalancingId, int] = field(default_factory=dict)
    applied: set[UUID] = field(default_factory=set)
    unbooked: dict[UUID, int] = field(default_factory=dict)


class Rebalanced(RuleBasedStateMachine):
    """kyiv has the grant; lviv and odesa hold money of it."""

    def __init__(self) -> None:
        super().__init__()
        self.grant = Grant(GrantId(uuid4()), "UAH", 10**9, "active")
        self.line = Line("aid", 10**9, 0)
        self.made: dict[AllotmentId, tuple[str, Granted]] = {}
        self.proposals: dict[RebalancingId, Proposal] = {}
        self.booked: set[UUID] = set()
        self.unreceived: dict[UUID, int] = {}
        self.holders = {LVIV: Holder(), ODESA: Holder()}
        self.wire: list[Message] = []
        self.now = NOW
        self._receive(1_000)
        self._send(LVIV, AllotmentId(uuid4()), uuid4(), 600, None)

    def _receive(self, amount: int) -> None:
        grant = grants.receive(self.grant, amount)
        assert isinstance(grant, Grant)
        self.grant = grant

    def _send(
        self,
        to: str,
        allotment_id: AllotmentId,
        transfer_id: UUID,
        amount: int,
        override: Override | None,
    ) -> bool:
        decided = grants.allot(self.grant, self.line, amount, KATIA, override)
        if isinstance(decided, GrantRefusal):
            return False
        assert transfer_id not in self.unreceived, "nothing is sent twice"
        self.grant, self.line = decided
        before = self.made.get(allotment_id, (to, Granted(0, 0)))[1]
        self.made[allotment_id] = (
            to,
            replace(
                before,
                amount_minor=before.amount_minor + amount,
                granted_minor=before.granted_minor + amount,
            ),
        )
        self.unreceived[transfer_id] = amount
        self.wire.append(Message(transfer_id, to, "sent", allotment_id, amount))
        return True

    @rule(amount=st.integers(1, 500))
    def instalment(self, amount: int) -> None:
        self._receive(amount)

    @rule(to=st.sampled_from([LVIV, ODESA]), amount=st.integers(1, 300))
    def allot(self, to: str, amount: int) -> None:
        self._send(to, AllotmentId(uuid4()), uuid4(), amount, None)

    @rule(days=st.integers(1, 9))
    def time_goes_on(self, days: int) -> None:
        self.now += days * DAY

    @rule(amount=st.integers(1, 800), pick=st.integers(0, 9), by=st.sampled_from([KATIA, None]))
    def propose(self, amount: int, pick: int, by: UUID | None) -> None:
        allotment_id = list(self.made)[pick % len(self.made)]
        holder, granted = self.made[allotment_id]
        to = ODESA if holder == LVIV else LVIV
        left = granted.amount_minor - granted.returned_minor
        refusal = rules.check(
            holder=holder, to_region=to, amount_minor=amount, left_minor=left, recalled=False
        )
        assert (refusal is None) == (amount <= left)
        if refusal is None:
            made = Proposal(
                RebalancingId(uuid4()),
                self.grant.id,
                allotment_id,
                holder,
                to,
                amount,
                "UAH",
                "waiting_needs",
                self.now + 14 * DAY,
                by,
            )
            self._keep(made)

    def _keep(self, proposal: Proposal) -> None:
        self.proposals[proposal.id] = proposal
        self.wire.append(Message(uuid4(), proposal.holder, "proposal", proposal.id, said=proposal))

    @precondition(lambda self: self.proposals)
    @rule(
        pick=st.integers(0, 9),
        by=st.sampled_from(PEOPLE),
        what=st.sampled_from(["sign", "sign", "withdraw", "retry", "keep"]),
    )
    def at_the_grantor(self, pick: int, by: UUID, what: str) -> None:
        proposal = list(self.proposals.values())[pick % len(self.proposals)]
        decided = {
            "sign": lambda: rules.sign(proposal, by),
            "withdraw": lambda: rules.withdraw(proposal),
            "retry": lambda: rules.retry(proposal),
            "keep": lambda: rules.keep(proposal),
        }[what]()
        if not isinstance(decided, RebalancingRefusal):
            self._keep(decided)

    @rule()
    def pass_on(self) -> None:
        for proposal in list(self.proposals.values()):
            if not rules.is_due(proposal):
                continue
            assert proposal.signer is not None
            assert proposal.credited_minor is not None
            done = self._send(
                proposal.to_region,
                rules.allotment_id_of(proposal.id),
                rules.sending_id(proposal.id),
                proposal.credited_minor,
                Override(proposal.signer, proposal.reason),
            )
            self._keep(rules.moved(proposal) if done else rules.hinder(proposal, "no-money"))

    @precondition(lambda self: any(holder.asks for holder in self.holders.values()))
    @rule(
        pick=st.integers(0, 9),
        by=st.sampled_from(PEOPLE),
        amount=st.integers(1, 800),
        what=st.sampled_from(["prepare", "prepare", "consent", "consent", "decline", "lapse"]),
    )
    def at_the_holder(self, pick: int, by: UUID, amount: int, what: str) -> None:
        asks = [ask for holder in self.holders.values() for ask in holder.asks.values()]
        ask = asks[pick % len(asks)]
        holder = next(each for each in self.holders.values() if ask.id in each.asks)
        if what == "prepare":
            decided = rules.prepare(ask, by, min(amount, ask.amount_minor), self.now)
        elif what == "decline":
            decided = rules.decline(ask, by, "needed_here")
        elif what == "lapse":
            decided = rules.lapse(ask, self.now)
        else:
            decided = rules.consent(ask, by, self.now)
        if isinstance(decided, RebalancingRefusal) or decided is ask:
            return
        if decided.state == "returned":
            assert decided.prepared_minor is not None
            allotment = holder.allotments.get(ask.allotment_id)
            if allotment is None or decided.prepared_minor > allotment.free_minor:
                return
            holder.allotments[allotment.id] = allotment.give_back(decided.prepared_minor)
            transfer_id = rules.return_id(ask.id)
            assert transfer_id not in holder.unbooked, "nothing comes back twice"
            holder.unbooked[transfer_id] = decided.prepared_minor
            self.wire.append(
                Message(transfer_id, "kyiv", "returned", ask.id, decided.prepared_minor)
            )
        else:
            self.wire.append(Message(uuid4(), "kyiv", "answer", ask.id, said=decided))
        holder.asks[ask.id] = decided

    @rule(amount=st.integers(1, 400), what=st.sampled_from(["hold", "spend", "release"]))
    def needs_come_and_go(self, amount: int, what: str) -> None:
        for holder in self.holders.values():
            for key, allotment in holder.allotments.items():
                try:
                    if what == "hold":
                        holder.allotments[key] = allotment.hold(amount)
                    elif what == "spend":
                        holder.allotments[key] = allotment.spend_free(amount)
                    else:
                        freed = min(amount, allotment.held_minor)
                        holder.allotments[key] = allotment.release_held(freed)
                except NotEnough:
                    assert amount > allotment.free_minor

    @precondition(lambda self: self.wire)
    @rule(pick=st.integers(0, 999))
    def deliver(self, pick: int) -> None:
        """In any order, any number of times, or never."""
        self._take(self.wire[pick % len(self.wire)])

    def _take(self, message: Message) -> None:
        if message.to == "kyiv":
            self._at_kyiv(message)
        else:
            self._at_a_holder(self.holders[message.to], message)

    def _at_kyiv(self, message: Message) -> None:
        proposal = self.proposals[RebalancingId(message.about)]
        if message.kind == "answer":
            said = message.said
            assert isinstance(said, Ask)
            assert said.state in ("prepared", "declined", "lapsed")
            heard = rules.hear(
                proposal, said.state, said.version, said.prepared_minor, said.answer_reason
            )
            if heard.version > proposal.version:
                self._keep(heard)
            else:
                self.proposals[heard.id] = heard
        elif message.id not in self.booked:
            self.booked.add(message.id)
            holder, granted = self.made[proposal.allotment_id]
            taken = grants.take_back(
                self.grant,
                self.line,
                granted,
                message.amount_minor,
                worth_minor=None,
                shortfall_minor=0,
            )
            self.grant, self.line = taken.grant, taken.line
            self.made[proposal.allotment_id] = (holder, taken.granted)
            self._keep(rules.came_back(proposal, message.amount_minor, taken.credited_minor))

    def _at_a_holder(self, holder: Holder, message: Message) -> None:
        if message.kind == "proposal":
            said = message.said
            assert isinstance(said, Proposal)
            if said.version <= holder.told.get(said.id, 0):
                return
            holder.told[said.id] = said.version
            ask = holder.asks.get(said.id) or Ask(
                said.id,
                said.grant_id,
                said.allotment_id,
                "kyiv",
                said.to_region,
                said.amount_minor,
                said.currency,
                said.reason,
                said.lapses_at,
            )
            holder.asks[said.id] = rules.hear_state(ask, said.state)
        elif message.id not in holder.applied:
            holder.applied.add(message.id)
            key = AllotmentId(message.about)
            before = holder.allotments.get(key) or Allotment(
                key, self.grant.id, "aid", "kyiv", "UAH"
            )
            holder.allotments[key] = before.credit(message.amount_minor)

    @invariant()
    def every_cent_is_somewhere(self) -> None:
        going = sum(
            amount
            for transfer_id, amount in self.unreceived.items()
            if not any(transfer_id in holder.applied for holder in self.holders.values())
        )
        held = sum(
            each.received_minor - each.returned_minor
            for holder in self.holders.values()
            for each in holder.allotments.values()
        )
        coming = sum(
            amount
            for holder in self.holders.values()
            for transfer_id, amount in holder.unbooked.items()
            if transfer_id not in self.booked
        )
        assert self.grant.allotted_minor == self.line.allotted_minor == going + held + coming
        assert self.grant.received_minor == self.grant.unallotted_minor + going + held + coming

    @invariant()
    def what_went_on_came_back_by_consent_first(self) -> None:
        for proposal in self.proposals.values():
            ask = self.holders[proposal.holder].asks.get(proposal.id)
            if proposal.returned_minor is not None:
                assert ask is not None
                assert ask.state == "returned"
                assert ask.preparer != ask.decider
                assert proposal.returned_minor == ask.prepared_minor
            sent = self.unreceived.get(rules.sending_id(proposal.id))
            assert sent == (proposal.credited_minor if proposal.state == "moved" else None)

    def teardown(self) -> None:
        """Once every link is back and all clocks have run out, each proposal has visibly ended.

        Or it waits for a person of the grantor: to sign, or to see to a hindrance.
        """
        self.now += 100 * DAY
        for holder in self.holders.values():
            for message in self.wire:
                if message.kind == "proposal" and self.holders[message.to] is holder:
                    self._take(message)
            for ask in list(holder.asks.values()):
                lapsed = rules.lapse(ask, self.now)
                holder.asks[ask.id] = lapsed
                if lapsed is not ask:
                    self.wire.append(Message(uuid4(), "kyiv", "answer", ask.id, said=lapsed))
        for _ in range(2):
            for message in reversed(list(self.wire)):
                self._take(message)
            self.pass_on()
        for message in list(self.wire):
            self._take(message)
        self.every_cent_is_somewhere()
        self.what_went_on_came_back_by_consent_first()
        for proposal in self.proposals.values():
            waits = proposal.state == "returned" and (
                proposal.signer is None or proposal.hindrance is not None
            )
            assert waits or proposal.state in ("declined", "lapsed", "withdrawn", "moved", "kept")
            ask = self.holders[proposal.holder].asks[proposal.id]
            assert ask.state not in rules.OPEN


TestRebalanced = Rebalanced.TestCase
TestRebalanced.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def _proposal(**more: object) -> Proposal:
    made = Proposal(
        RebalancingId(UUID(int=9)),
        GrantId(UUID(int=8)),
        AllotmentId(UUID(int=7)),
        LVIV,
        ODESA,
        500,
        "UAH",
        "waiting_needs",
        NOW + DAY,
        KATIA,
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


def test_no_more_is_proposed_than_is_there_and_nothing_that_is_asked_back() -> None:
    def check(amount_minor: int, to_region: str = ODESA, *, recalled: bool = False) -> str | None:
        return rules.check(
            holder=LVIV,
            to_region=to_region,
            amount_minor=amount_minor,
            left_minor=500,
            recalled=recalled,
        )

    assert check(500) is None
    assert check(501) is RebalancingRefusal.NOT_HELD
    assert check(1, LVIV) is RebalancingRefusal.SAME_HOLDER
    assert check(1, recalled=True) is RebalancingRefusal.WRONG_STATE


def test_whoever_proposed_does_not_sign() -> None:
    assert rules.sign(_proposal(), KATIA) is RebalancingRefusal.SECOND_PERSON
    by_rule = rules.sign(_proposal(proposer=None), KATIA)
    assert isinstance(by_rule, Proposal)
    assert rules.sign(by_rule, ILIA) is RebalancingRefusal.WRONG_STATE


def test_whoever_prepared_does_not_consent_and_nobody_does_too_late() -> None:
    ask = Ask(
        RebalancingId(UUID(int=9)),
        GrantId(UUID(int=8)),
        AllotmentId(UUID(int=7)),
        "kyiv",
        ODESA,
        500,
        "UAH",
        "waiting_needs",
        NOW + DAY,
    )
    assert rules.consent(ask, ILIA, NOW) is RebalancingRefusal.WRONG_STATE
    assert rules.prepare(ask, KATIA, 501, NOW) is RebalancingRefusal.NOT_PROPOSED
    assert rules.prepare(ask, KATIA, 500, NOW + DAY) is RebalancingRefusal.LAPSED
    assert isinstance(rules.prepare(ask, KATIA, 500, NOW), Ask)
    prepared = rules.prepare(ask, KATIA, 300, NOW)
    assert isinstance(prepared, Ask)
    assert rules.consent(prepared, KATIA, NOW) is RebalancingRefusal.SECOND_PERSON
    assert rules.consent(prepared, ILIA, NOW + DAY) is RebalancingRefusal.LAPSED
    assert rules.lapse(prepared, NOW + DAY).state == "lapsed"
    assert rules.lapse(prepared, NOW) is prepared
    returned = rules.consent(prepared, ILIA, NOW)
    assert isinstance(returned, Ask)
    assert rules.hear_state(returned, "withdrawn") is returned
    assert rules.decline(returned, ILIA, "needed_here") is RebalancingRefusal.WRONG_STATE


@pytest.mark.parametrize("state", ["withdrawn", "declined", "lapsed"])
def test_what_comes_back_after_the_end_stays_in_the_grant(state: str) -> None:
    back = rules.came_back(_proposal(state=state, signer=ILIA), 300, 300)
    assert (back.state, back.returned_minor) == (state, 300)
    assert not rules.is_due(back)


def test_an_older_answer_changes_nothing() -> None:
    declined = rules.hear(_proposal(), "declined", 2, reason="needed_here")
    assert rules.hear(declined, "prepared", 1, 300) is declined
    prepared = rules.hear(_proposal(), "prepared", 1, 300)
    assert rules.hear(prepared, "prepared", 1, 200) is prepared, "nor does the same one again"
    assert rules.hear(_proposal(state="withdrawn"), "declined", 1).state == "withdrawn"
