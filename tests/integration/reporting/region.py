"""One region's reporting, as it is put together, and figures that it is fed with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId, NeedId, PersonId
from aidmesh_contracts.intake import NeedFulfilledV1
from aidmesh_contracts.payments_grants import GrantChangedV1, GrantTerms
from aidmesh_contracts.reporting import MonthlyResultsV1, ResultLine
from aidmesh_contracts.restriction import UNRESTRICTED
from aidmesh_contracts.values import GrantShare
from aidmesh_reporting.handlers.facts import record
from integration.reporting.model import START, received
from support.answers import as_told

GRANT = GrantId(UUID(int=9))


@dataclass
class Built:
    service: Service
    db: Database
    keys: Path
    peers: Peers

    def client(self, *roles: Role) -> httpx.AsyncClient:
        signer = KeyRing(self.keys, [TOKENS]).token_signer()
        token = issue_token(signer, uuid4(), roles, "kyiv", datetime.now(UTC), 600)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.service.app),
            base_url="http://reporting",
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"response": [as_told(self.service.app)]},
        )

    async def take(self, *batch: Received[Event]) -> None:
        async with self.db.transaction() as tx:
            await record(tx, batch)


def service(
    number: int, people: list[int], *, kind: str = "food_parcel", day: date = date(2024, 3, 4)
) -> NeedFulfilledV1:
    return NeedFulfilledV1(
        need_id=NeedId(UUID(int=1000 + number)),
        service_no=1,
        kind=kind,
        programme="relief",
        person_ids=tuple(PersonId(UUID(int=person)) for person in people),
        area="UA80",
        asked_on=day,
        served_on=day,
        quantity=2,
        unit="piece",
        shares=(GrantShare(grant_id=GRANT, amount_minor=500, currency="UAH"),),
        sensitive=kind != "food_parcel",
    )


def paid(number: int, person: int, *, sensitive: bool, kind: str = "cash") -> NeedFulfilledV1:
    """Cash for one person: what was paid out is the quantity."""
    return service(number, [person], kind=kind).model_copy(
        update={"quantity": 250_000, "unit": "uah", "sensitive": sensitive}
    )


def lviv(
    version: int, people: int, month: str = "2024-03", *, settled: bool = False
) -> MonthlyResultsV1:
    return MonthlyResultsV1(
        month=month,
        people=people,
        services=people + 1,
        contacts=0,
        year_people=people,
        lines=(
            ResultLine(
                area="UA46", kind="food_parcel", grant_id=None, people=people,
                services=people + 1, contacts=0, quantity=people, unit="piece", sensitive=False,
            ),
        ),
        version=version,
        as_of=START,
        settled=settled,
    )  # fmt: skip


GRANT_CHANGED = GrantChangedV1(
    grant_id=GRANT,
    terms=GrantTerms(
        grant_id=GRANT,
        code="qn-2024",
        donor="Queere Nothilfe Ukraine",
        currency="EUR",
        restriction=UNRESTRICTED,
        paying_office="kyiv",
        terms_version=1,
    ),
    amount_minor=1,
    received_minor=1,
    status="active",
    version=1,
)


MARCH = {"from": "2024-03-01", "to": "2024-03-31"}


async def fill(built: Built) -> None:
    events: list[Event] = [service(number, [number, 50]) for number in range(6)]
    events += [service(20, [1], kind="legal_advice"), GRANT_CHANGED]
    await built.take(*(received(event, number) for number, event in enumerate(events)))
    # The later version wins, whichever comes first.
    await built.take(received(lviv(2, 30), 100, "lviv"))
    await built.take(received(lviv(1, 99), 101, "lviv"))


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}
