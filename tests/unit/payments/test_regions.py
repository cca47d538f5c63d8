"""Two regions exchange allotments by messages that are lost, doubled and reordered.

The model keeps what the databases keep: balances and the ids of transfers that were applied.
At every step no cent is lost or made, whatever has or has not arrived.
"""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain import grants
from aidmesh_payments.domain.allotments import Allotment, NotEnough
from aidmesh_payments.domain.grants import Grant, Granted, GrantRefusal, Line
from aidmesh_payments.domain.money import to_grant_currency

RATE = "41.25"
MAKER = UUID(int=1)


@dataclass
class Message:
    """A transfer (either way) or a recall, by id."""

    id: UUID
    kind: str
    amount_minor: int
    grantor: str
    allotment_id: AllotmentId
    granted_minor: int = 0


@dataclass
class Region:
    """What one region's database holds."""

    grant: Grant
    line: Line
    made: dict[AllotmentId, Granted] = field(default_factory=dict)
    held: dict[AllotmentId, Allotment] = field(default_factory=dict)
    recalled: set[AllotmentId] = field(default_factory=set)
    applied: set[UUID] = field(default_factory=set)


def _region() -> Region:
    grant_id = GrantId(uuid4())
    return Region(Grant(grant_id, "EUR", 10**9, "active"), Line("aid", 10**9, 0))


class TwoRegions(RuleBasedStateMachine):
    """kyiv and lviv, each grantor and holder."""

    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.regions = {"kyiv": _region(), "lviv": _region()}
        self.sent: list[Message] = []

    def _other(self, name: str) -> str:
        return "lviv" if name == "kyiv" else "kyiv"

    @rule(name=st.sampled_from(["kyiv", "lviv"]), amount=st.integers(1, 10**6))
    def instalment(self, name: str, amount: int) -> None:
        region = self.regions[name]
        grant = grants.receive(region.grant, amount)
        assert isinstance(grant, Grant)
        region.grant = grant

    @rule(name=st.sampled_from(["kyiv", "lviv"]), amount=st.integers(1, 10**6))
    def reverse_instalment(self, name: str, amount: int) -> None:
        region = self.regions[name]
        reversed_ = grants.reverse_instalment(region.grant, amount, 0)
        if isinstance(reversed_, GrantRefusal):
            assert amount > region.grant.unallotted_minor
        else:
            region.grant, missing = reversed_
            assert missing == 0

    @rule(
        target=messages,
        name=st.sampled_from(["kyiv", "lviv"]),
        amount=st.integers(1, 10**7),
        again=st.booleans(),
    )
    def allot(self, name: str, amount: int, again: bool) -> Message | None:
        region = self.regions[name]
        granted = to_grant_currency(amount, "UAH", "EUR", RATE)
        if granted == 0:
            return None
        decided = grants.allot(region.grant, region.line, granted, MAKER)
        if isinstance(decided, GrantRefusal):
            assert granted > region.grant.unallotted_minor
            return None
        region.grant, region.line = decided
        raised = next(iter(region.made), None) if again else None
        allotment_id = raised or AllotmentId(uuid4())
        before = region.made.get(allotment_id, Granted(0, 0))
        region.made[allotment_id] = Granted(
            before.amount_minor + amount,
            before.granted_minor + granted,
            before.returned_minor,
            before.returned_granted_minor,
        )
        return self._send(Message(uuid4(), "sent", amount, name, allotment_id, granted))

    def _send(self, message: Message) -> Message:
        self.sent.append(message)
        return message

    @rule(message=messages)
    def deliver(self, message: Message | None) -> None:
        """In any order, any number of times, or never."""
        if message is None:
            return
        if message.kind == "returned":
            self._take_back(message)
        else:
            self._at_holder(message)

    def _at_holder(self, message: Message) -> None:
        holder = self.regions[self._other(message.grantor)]
        if message.id in holder.applied:
            return
        holder.applied.add(message.id)
        allotment = holder.held.get(message.allotment_id)
        if message.kind == "recall":
            holder.recalled.add(message.allotment_id)
            if allotment is not None:
                self._settle(holder, message.grantor, allotment.recall())
            return
        if allotment is None:
            allotment = Allotment(
                message.allotment_id,
                self.regions[message.grantor].grant.id,
                "aid",
                message.grantor,
                "UAH",
            )
        allotment = allotment.credit(message.amount_minor)
        if allotment.id in holder.recalled:
            allotment = allotment.recall()
        self._settle(holder, message.grantor, allotment)

    def _settle(self, holder: Region, grantor: str, allotment: Allotment) -> None:
        settled, returned = allotment.settle()
        holder.held[settled.id] = settled
        if returned:
            self.pending.append(Message(uuid4(), "returned", returned, grantor, settled.id))

    @property
    def pending(self) -> list[Message]:
        if not hasattr(self, "_pending"):
            self._pending: list[Message] = []
        return self._pending

    @rule(target=messages)
    def post_return(self) -> Message | None:
        """Returns enter the bundle here; until then they are in transit like any other."""
        return self._send(self.pending.pop()) if self.pending else None

    def _take_back(self, message: Message) -> None:
        region = self.regions[message.grantor]
        if message.id in region.applied:
            return
        region.applied.add(message.id)
        worth = to_grant_currency(message.amount_minor, "UAH", "EUR", "40")
        taken = grants.take_back(
            region.grant,
            region.line,
            region.made[message.allotment_id],
            message.amount_minor,
            worth_minor=worth if message.amount_minor % 2 else None,
            shortfall_minor=0,
        )
        region.grant, region.line = taken.grant, taken.line
        region.made[message.allotment_id] = taken.granted

    @rule(target=messages, name=st.sampled_from(["kyiv", "lviv"]))
    def recall(self, name: str) -> Message | None:
        made = self.regions[name].made
        if not made:
            return None
        return self._send(Message(uuid4(), "recall", 0, name, next(iter(made))))

    @rule(
        name=st.sampled_from(["kyiv", "lviv"]),
        amount=st.integers(1, 10**6),
        what=st.sampled_from(["hold", "commit", "spend", "release", "reverse", "give_back"]),
    )
    def work(self, name: str, amount: int, what: str) -> None:
        """Needs come and go at the holder."""
        region = self.regions[name]
        for allotment in list(region.held.values()):
            try:
                if what == "hold":
                    changed = allotment.hold(amount)
                elif what == "commit":
                    changed = allotment.commit(min(amount, allotment.held_minor))
                elif what == "spend":
                    changed = allotment.spend(min(amount, allotment.committed_minor))
                elif what == "reverse":
                    changed = allotment.reverse(min(amount, allotment.spent_minor))
                elif what == "release":
                    changed = allotment.release_held(min(amount, allotment.held_minor))
                else:
                    changed = allotment.give_back(amount)
                    self.pending.append(
                        Message(uuid4(), "returned", amount, allotment.grantor, allotment.id)
                    )
            except NotEnough:
                assert amount > allotment.free_minor or allotment.status != "active"
                continue
            self._settle(region, allotment.grantor, changed)

    @invariant()
    def no_cent_is_lost_or_made(self) -> None:
        for name, region in self.regions.items():
            holder = self.regions[self._other(name)]
            for allotment_id, granted in region.made.items():
                mine = [m for m in self.sent if m.allotment_id == allotment_id]
                going = sum(
                    m.amount_minor for m in mine if m.kind == "sent" and m.id not in holder.applied
                )
                coming = sum(
                    m.amount_minor
                    for m in [*mine, *(p for p in self.pending if p.allotment_id == allotment_id)]
                    if m.kind == "returned" and m.id not in region.applied
                )
                at = holder.held.get(allotment_id)
                there = 0 if at is None else at.received_minor - at.returned_minor
                assert granted.amount_minor - granted.returned_minor == going + there + coming
            net = sum(
                each.granted_minor - each.returned_granted_minor for each in region.made.values()
            )
            assert region.grant.allotted_minor == region.line.allotted_minor == net

    @invariant()
    def what_came_back_whole_is_booked_whole(self) -> None:
        for region in self.regions.values():
            for granted in region.made.values():
                if granted.returned_minor == granted.amount_minor:
                    assert granted.returned_granted_minor == granted.granted_minor


TestTwoRegions = TwoRegions.TestCase
TestTwoRegions.settings = settings(max_examples=60, stateful_step_count=40)
