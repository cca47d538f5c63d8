"""Short plays on a region: what happens is written down, who hears of it and when is chosen."""

import random
from datetime import timedelta
from uuid import UUID

from aidmesh_contracts.ids import PayoutId
from integration.model import books
from integration.model.stage import Stage
from integration.model.truth import PRICES_MINOR, Purse, Truth


class Play:
    """An empty region, what people do in it, and what is true of that."""

    def __init__(self, stage: Stage) -> None:
        self.do, self.town = stage.do, stage.town
        self.chance = random.Random(1)
        self.truth = Truth()
        self.do(self.town.empty())
        self.site_id = self.do(self.town.site())
        self.grant_id = self.do(self.town.grant())

    def supply(self, kind: str) -> None:
        """Enough for one."""
        if kind == "hiv_test":
            lot_id = self.do(self.town.inventory.stock(self.site_id, 1, "hiv_test"))
            self.truth.lots[lot_id], self.truth.items[lot_id] = 1, "hiv_test"
        if kind == "counseling_paid":
            self.do(self.town.slot(self.site_id, self.do(self.town.today()) + timedelta(days=9)))
        if kind in PRICES_MINOR:
            amount = PRICES_MINOR[kind]
            self.truth.purses[self.do(self.town.allot(self.grant_id, amount))] = Purse(amount, None)

    def stock_up(self, kind: str) -> None:
        """Enough for one, long before anybody asks: no refusal may have overlooked it."""
        self.supply(kind)
        self.hear_all()
        self.wait(minutes=1)

    def ask(self, kind: str, quantity: int = 1, *, danger: bool = False) -> UUID:
        """Somebody asks for one, or more."""
        self.truth.asked[kind] = self.truth.asked.get(kind, 0) + quantity
        return self.do(self.town.ask(kind=kind, quantity=quantity, danger=danger))

    def one_is_to_be_paid(self) -> tuple[UUID, UUID, PayoutId]:
        """A journey is to be paid; returns whose, who waits for the same money, and the payout."""
        self.stock_up("travel")
        first = self.ask("travel")
        self.hear_all()
        second = self.ask("travel")
        self.hear_all()
        (row,) = self.do(self.town.payouts())
        return first, second, PayoutId(row["id"])

    def hear(self, *where: str) -> None:
        """These services hear all that there is for them now."""
        self.do(self.town.post.collect())
        for name in where:
            mine = [each for each in self.town.post.waiting if each.to == name]
            self.do(self.town.post.carry(mine))

    def hear_all(self) -> None:
        """Everybody hears everything."""
        self.do(self.town.carry_all(self.chance))

    def wait(self, **time: float) -> None:
        """Time passes, and is not noticed yet."""
        self.do(self.town.pass_time(timedelta(**time)))

    def cancel(self, need_id: UUID) -> None:
        """They do not want it any more."""
        self.do(self.town.act(need_id, "cancel", body={"reason": "moved_away"}))
        self.truth.cancelled.add(need_id)

    def ends(self, **states: UUID) -> None:
        """Everything calms down; who is where, and the books say what happened."""
        self.do(books.calm(self.town, self.chance))
        found = {state: self.do(self.town.intake.state(each)) for state, each in states.items()}
        assert found == {state: state for state in states}
        self.do(books.check(self.town, self.truth))
