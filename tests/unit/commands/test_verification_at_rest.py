"""What differs while a region works on is looked at again; what does not hold is told."""

from dataclasses import dataclass, field

from aidmesh.quiet import Lag
from aidmesh.verification.outcome import Outcome
from aidmesh.verification.run import LOOKS_MAX, check_at_rest

BETWEEN_TWO = "kyiv.waiting_agrees"
IN_ONE = "kyiv.payments.ledger_balances"
FITS = Outcome(BETWEEN_TWO, ok=True, detail="")


def failing(name: str) -> Outcome:
    return Outcome(name, ok=False, detail="they differ")


@dataclass
class Outbox:
    """A service's database, as far as anybody asks it here."""

    last_seq: int = 0

    async def fetchrow(self, _: str) -> tuple[int, None]:
        return self.last_seq, None


@dataclass
class Kyiv:
    """A region of one service, which answers one look after the other."""

    looks: list[Outcome]
    works_on: bool
    busy: bool = False
    name: str = "kyiv"
    outbox: Outbox = field(default_factory=Outbox)
    looked: int = 0

    @property
    def connections(self) -> dict[str, Outbox]:
        return {"payments": self.outbox}

    async def lag(self, _: object = ()) -> Lag:
        return Lag(unsent=int(self.busy), untaken=0, failing=0)

    async def look(self) -> list[Outcome]:
        self.outbox.last_seq += self.works_on
        self.looked += 1
        return [self.looks[min(self.looked, len(self.looks)) - 1]]

    async def check(self) -> tuple[dict[str, Lag], list[Outcome]]:
        return await check_at_rest([self], self.look, quiet_s_max=0.0)  # type: ignore[list-item]


async def test_two_places_between_which_an_event_was_are_looked_at_again() -> None:
    kyiv = Kyiv([failing(BETWEEN_TWO), FITS], works_on=True)

    assert await kyiv.check() == ({}, [FITS])


async def test_what_differs_whenever_it_is_looked_at_is_told() -> None:
    kyiv = Kyiv([failing(BETWEEN_TWO)], works_on=True)

    assert await kyiv.check() == ({}, [failing(BETWEEN_TWO)])
    assert kyiv.looked == LOOKS_MAX


async def test_what_differs_at_rest_is_told_at_once() -> None:
    kyiv = Kyiv([failing(BETWEEN_TWO), FITS], works_on=False)

    assert await kyiv.check() == ({}, [failing(BETWEEN_TWO)])


async def test_what_one_database_shows_is_told_though_it_passes() -> None:
    kyiv = Kyiv([failing(IN_ONE), FITS], works_on=True)

    assert await kyiv.check() == ({}, [failing(IN_ONE)])


async def test_who_does_not_come_to_rest_is_not_looked_at() -> None:
    kyiv = Kyiv([FITS], works_on=True, busy=True)

    noisy, found = await kyiv.check()

    assert (list(noisy), found, kyiv.looked) == (["kyiv"], [], 0)
