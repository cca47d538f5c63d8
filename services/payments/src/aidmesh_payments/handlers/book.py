"""The allotments that one transaction works on: locked, changed, and saved once at the end."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    NeedId,
    RebalancingId,
)
from aidmesh_contracts.payments import FundsGrewV1
from aidmesh_contracts.payments_grants import AllotmentChangedV1, AllotmentReturnedV1
from aidmesh_payments.domain import ledger, rebalancing
from aidmesh_payments.domain.allotments import Allotment, WayBack, return_id
from aidmesh_payments.domain.choosing import Purse
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers import periods, returning
from aidmesh_payments.handlers.locking import lock_grants_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import allotments as store
from aidmesh_payments.store import grant_terms, owing, transfers
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store.granted import GrantAllotment

Cause = Received[Event] | None

TOLD_MAX = 500


class Book:
    """Balances of locked allotments, the journals to write, and what grew.

    `close` gives back what recalled allotments have free, saves every changed balance in one
    statement, and writes the journals. Other regions are told by a sweep.
    """

    def __init__(
        self, tx: Tx, office: Office, allotments: Mapping[AllotmentId, Allotment], now: datetime
    ) -> None:
        self.tx = tx
        self.office = office
        self.now = now
        self._before = dict(allotments)
        self._after = dict(allotments)
        self._journals: list[ledger.Journal] = []
        self._grown: list[tuple[AllotmentId, int, NeedId | None, Cause]] = []
        self._spent: dict[CommitmentId, Commitment] = {}
        self._undone: set[CommitmentId] = set()
        self._by_hand = False

    @classmethod
    async def open(cls, tx: Tx, office: Office, ids: Iterable[AllotmentId]) -> "Book":
        """Lock these allotments; the clock is read afterwards."""
        locked = await store.lock(tx.conn, ids)
        return cls(tx, office, locked, await store.clock(tx.conn))

    @classmethod
    async def open_purses(
        cls, tx: Tx, office: Office, currencies: Iterable[str]
    ) -> tuple["Book", list[Purse]]:
        """Lock every allotment in these currencies and show them as a choice sees them."""
        locked, purses = await store.lock_purses(tx.conn, currencies)
        return cls(tx, office, locked, await store.clock(tx.conn)), purses

    @classmethod
    async def open_purse(
        cls, tx: Tx, office: Office, allotment_id: AllotmentId
    ) -> tuple["Book", list[Purse]]:
        """Lock one allotment and show it as a choice sees it; no purse when it is over."""
        locked, purses = await store.lock_purse(tx.conn, allotment_id)
        return cls(tx, office, locked, await store.clock(tx.conn)), purses

    @property
    def today(self) -> date:
        """The day in Kyiv."""
        return day_of(self.now)

    def __getitem__(self, allotment_id: AllotmentId) -> Allotment:
        return self._after[allotment_id]

    def __contains__(self, allotment_id: AllotmentId) -> bool:
        return allotment_id in self._after

    def all(self) -> list[Allotment]:
        """The allotments of this book."""
        return list(self._after.values())

    async def add(self, ids: Iterable[AllotmentId]) -> None:
        """Lock further allotments, which this transaction has just made."""
        locked = await store.lock(self.tx.conn, ids)
        self._before |= locked
        self._after |= locked

    def put(self, allotment: Allotment) -> None:
        """Replace the picture of an allotment."""
        self._after[allotment.id] = allotment

    def write(self, journal: ledger.Journal) -> None:
        """Book a journal when the book closes."""
        self._journals.append(journal)

    def grew(
        self,
        allotment_id: AllotmentId,
        amount_minor: int,
        freed_by: NeedId | None = None,
        cause: Cause = None,
    ) -> None:
        """Note that more can be held.

        Told unless the allotment takes nothing new, and no more than is free when the book closes.
        """
        self._grown.append((allotment_id, amount_minor, freed_by, cause))

    def spent(self, commitment: Commitment) -> None:
        """Note that a need's money was spent; whether its grant is for that day is asked later."""
        self._spent[commitment.id] = commitment

    def undone(self, commitment_id: CommitmentId) -> None:
        """Note that a spending was reversed."""
        self._spent.pop(commitment_id, None)
        self._undone.add(commitment_id)

    def by_hand(self) -> None:
        """A person says where money is booked, and why: nobody is asked about its day again.

        What was asked about a spending that is reversed with it is no question any more.
        """
        self._by_hand = True

    def all_grew(self, grant_ids: Collection[GrantId] | None = None) -> None:
        """Note that what is free of every allotment here can be held again.

        Args:
            grant_ids: only of these grants; None for all.
        """
        for allotment in self._after.values():
            is_meant = grant_ids is None or allotment.grant_id in grant_ids
            if is_meant and allotment.free_minor > 0:
                self.grew(allotment.id, allotment.free_minor)

    async def close(self) -> None:
        """Save, book and tell."""
        changed = [
            after for key, after in sorted(self._after.items()) if after is not self._before[key]
        ]
        saved: list[Allotment] = []
        # Discrepancies come before grants.
        spent = [] if self._by_hand else list(self._spent.values())
        await periods.question(self.tx.conn, spent, self._undone)
        # Grants in their own order, not in that of their allotments.
        await lock_grants_of(self.office, self.tx, changed)
        for allotment in changed:
            stays = self.office.is_restoring
            settled, returned_minor = (allotment, 0) if stays else allotment.settle()
            if returned_minor:
                await self._give_back(settled, returned_minor)
            saved.append(replace(settled, version=settled.version + 1))
        if saved:
            await store.save(self.tx.conn, saved)
        for each in saved:
            self._after[each.id] = self._before[each.id] = each
        await ledger_store.post(self.tx.conn, self._journals)
        self._journals.clear()
        await self._tell_growth()

    async def give_back(
        self,
        allotment_id: AllotmentId,
        amount_minor: int,
        rebalancing_id: RebalancingId | None = None,
        told: WayBack | None = None,
    ) -> None:
        """Return free money to the grantor, who has not recalled it. Raises `NotEnough`.

        Args:
            rebalancing_id: the proposal that is consented to.
            told: how the grantor has heard of it, before a restore.
        """
        changed = self[allotment_id].give_back(amount_minor)
        self.put(changed)
        await self._give_back(changed, amount_minor, rebalancing_id, told)

    async def _give_back(
        self,
        allotment: Allotment,
        amount_minor: int,
        rebalancing_id: RebalancingId | None = None,
        told: WayBack | None = None,
    ) -> None:
        """Send money back; what the grantor has taken back by itself is paid off first."""
        own = allotment.grantor == self.office.region
        if not own and told is None:
            paid_minor = await owing.pay_off(self.tx.conn, allotment.id, amount_minor)
            if paid_minor:
                paid = await self._new_return(allotment)
                await self._book_return(allotment, paid_minor, paid, settled=True)
            amount_minor -= paid_minor
        if not amount_minor:
            return
        epoch = self.tx.origin.epoch
        in_vain = not own and await owing.keep_untold(
            self.tx.conn, allotment.id, epoch, amount_minor
        )
        back = told or await self._new_return(allotment, rebalancing_id)
        await self._book_return(allotment, amount_minor, back, settled=own or in_vain)
        if own:
            self._journals += await returning.credit_grant(
                self.tx,
                self.office.region,
                allotment.id,
                back.transfer_id,
                amount_minor,
                self.today,
                rebalancing_id,
            )
        elif not in_vain:
            fences = back.fences
            if fences is None:
                fences = await owing.known_fences(self.tx.conn, allotment.id)
            self.tx.emit(
                AllotmentReturnedV1(
                    allotment_id=allotment.id,
                    transfer_id=back.transfer_id,
                    grantor=allotment.grantor,
                    holder=self.office.region,
                    amount_minor=amount_minor,
                    currency=allotment.currency,
                    rebalancing_id=rebalancing_id,
                    fences=fences,
                )
            )

    async def _new_return(
        self, allotment: Allotment, rebalancing_id: RebalancingId | None = None
    ) -> WayBack:
        epoch = self.tx.origin.epoch
        if rebalancing_id is not None:
            transfer_id = rebalancing.return_id(rebalancing_id)
        else:
            number = await transfers.count_returns(self.tx.conn, allotment.id) + 1
            transfer_id = return_id(allotment.id, self.office.region, epoch, number)
        return WayBack(transfer_id, epoch, await owing.known_fences(self.tx.conn, allotment.id))

    async def _book_return(
        self, allotment: Allotment, amount_minor: int, back: WayBack, *, settled: bool
    ) -> None:
        is_new = await transfers.insert_transfer(
            self.tx.conn,
            back.transfer_id,
            "return",
            allotment.id,
            self.office.region,
            allotment.grantor,
            amount_minor,
            allotment.currency,
            "received" if settled else "in_transit",
            epoch=back.epoch,
            fences=back.fences,
        )
        assert is_new, "money goes back once by each transfer"  # noqa: S101 - an invariant
        self.write(
            ledger.return_sent(
                back.transfer_id,
                allotment.grant_id,
                allotment.id,
                allotment.currency,
                amount_minor,
                self.today,
            )
        )

    async def _tell_growth(self) -> None:
        grown = [entry for entry in self._grown if self[entry[0]].status == "active"]
        self._grown.clear()
        if not grown:
            return
        programmes = await grant_terms.programmes(self.tx.conn, (entry[0] for entry in grown))
        left_minor = {entry[0]: self[entry[0]].free_minor for entry in grown}
        for allotment_id, freed_minor, freed_by, cause in grown:
            amount_minor = min(freed_minor, left_minor[allotment_id])
            left_minor[allotment_id] -= amount_minor
            if allotment_id in programmes and amount_minor:
                self.tx.emit(
                    FundsGrewV1(
                        allotment_id=allotment_id,
                        programmes=programmes[allotment_id],
                        currency=self[allotment_id].currency,
                        amount_minor=amount_minor,
                        freed_by=freed_by,
                        grew_at=self.now,
                    ),
                    cause=cause,
                )


async def tell_allotments(office: Office, tx: Tx) -> int:
    """Publish the state of allotments that changed since it was published last. A sweep.

    It is there to be looked at: money moves between regions by transfers alone.
    """
    states = await store.take_untold(tx.conn, TOLD_MAX)
    made = await granted_store.allotments(tx.conn, (allotment.id for allotment in states))
    for allotment in states:
        state = _state(allotment, office.region, tx.now, made.get(allotment.id))
        tx.emit(state, version=allotment.version)
    return len(states)


def _state(
    allotment: Allotment, region: str, now: datetime, made: GrantAllotment | None
) -> AllotmentChangedV1:
    """Of an allotment to itself a region tells how it was given: no transfer does."""
    given = (
        None
        if made is None
        else AllotmentChangedV1.Given(
            budget_line=made.budget_line,
            granted_minor=made.granted.granted_minor,
            rate=made.rate,
            valid_until=made.valid_until,
        )
    )
    return AllotmentChangedV1(
        allotment_id=allotment.id,
        grant_id=GrantId(allotment.grant_id),
        grantor=allotment.grantor,
        holder=region,
        currency=allotment.currency,
        received_minor=allotment.received_minor,
        returned_minor=allotment.returned_minor,
        held_minor=allotment.held_minor,
        committed_minor=allotment.committed_minor,
        spent_minor=allotment.spent_minor,
        status=allotment.status,
        version=allotment.version,
        as_of=now,
        given=given,
    )
