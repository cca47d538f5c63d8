"""What a person would note of grants and allotments on paper, and what accounts follow from it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain.ledger import Account, Journal

_account = lru_cache(maxsize=1024)(Account)
"""After every step the same accounts are asked about; to derive an id takes long."""


@dataclass
class Purse:
    """What a person would note of a grant, in its currency.

    Attributes:
        paid: what the donor paid, in whichever currency.
        gone: what allotments took, less what came back, as it was booked.
        aside: set aside for the donor, who waits for `missing` more.
    """

    credited: int = 0
    paid: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    loss: int = 0
    aside: int = 0
    refunded: int = 0
    missing: int = 0

    @property
    def free(self) -> int:
        return self.credited - self.gone - self.loss - self.aside - self.refunded

    def serve(self) -> int:
        """Whoever waits for money back is served first; returns how much."""
        served = min(self.missing, self.free)
        self.aside += served
        self.missing -= served
        return served


@dataclass
class Till:
    """What a person would note of an allotment, in its currency."""

    grant: str
    currency: str
    came: int = 0
    booked: int = 0
    returned: int = 0
    held: int = 0
    committed: int = 0
    spent: int = 0

    @property
    def free(self) -> int:
        return self.came - self.returned - self.held - self.committed - self.spent


@dataclass(frozen=True)
class Paid:
    """An instalment that came, and what of it was set aside at once."""

    id: UUID
    grant: str
    credited: int
    paid: int
    currency: str
    set_aside: int


def balances(journals: Iterable[Journal]) -> Counter[Account]:
    """What is on each account, where it is not nothing."""
    sums: Counter[Account] = Counter()
    for journal in journals:
        for posting in journal.postings:
            sums[posting.account] += posting.amount_minor
    return Counter({account: amount for account, amount in sums.items() if amount})


def accounts(
    grants: Mapping[str, GrantId],
    purses: Mapping[str, Purse],
    tills: Mapping[AllotmentId, Till],
) -> Counter[Account]:
    """What is to be on each account, where it is not nothing.

    Args:
        grants: by their currencies, as `purses`.
    """
    wanted: Counter[Account] = Counter()
    for of, purse in purses.items():
        grant_id = grants[of]
        for by, paid in purse.paid.items():
            wanted[_account("donor", by, grant_id)] -= paid
            if by != of:
                wanted[_account("exchange", by)] += paid
        wanted[_account("donor", of, grant_id)] += purse.refunded
        wanted[_account("unallotted", of, grant_id)] += purse.free
        wanted[_account("refund_due", of, grant_id)] += purse.aside
        wanted[_account("exchange_difference", of, grant_id)] += purse.loss
        # What came over the exchange, less what went.
        same = sum(t.booked for t in tills.values() if t.grant == of == t.currency)
        wanted[_account("exchange", of)] += purse.gone - same + purse.paid[of] - purse.credited
    for each, till in tills.items():
        key = (till.currency, grants[till.grant], each)
        net = till.came - till.returned
        if till.grant != till.currency:
            wanted[_account("exchange", till.currency)] -= net
        wanted[_account("allotted", *key)] += net
        wanted[_account("granted", *key)] -= net
        wanted[_account("available", *key)] += net - till.spent
        wanted[_account("spent", *key)] += till.spent
    return Counter({account: amount for account, amount in wanted.items() if amount})
