"""Intake on a real PostgreSQL, with the other services played by the test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.keys import NOTIFICATION, PAYMENTS, TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    NeedId,
    ReservationId,
    SiteId,
    derive_id,
)
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReversedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.payments import CommitmentHeldV1, CommitmentMadeV1, CommitmentSpentV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.app import build
from aidmesh_intake.config import Settings
from support.answers import as_told

SITE = SiteId(UUID("11111111-1111-4111-8111-111111111111"))
GRANT = GrantId(UUID("22222222-2222-4222-8222-222222222222"))
KYIV = "UA80"
E = TypeVar("E", bound=Event)


@dataclass
class World:
    """One intake, and what it published."""

    service: Service
    db: Database
    keys: KeyRing
    client: httpx.AsyncClient
    region: str = "kyiv"
    staff_id: UUID = field(default_factory=uuid4)
    _seen: int = 0

    def headers(self, *roles: Role, staff_id: UUID | None = None) -> dict[str, str]:
        """A caller with these roles, a caseworker by default; always the same one by default."""
        token = issue_token(
            self.keys.token_signer(),
            staff_id or self.staff_id,
            roles or (Role.CASEWORKER,),
            self.region,
            datetime.fromtimestamp(time.time(), UTC),
            3600,
        )
        return {"Authorization": f"Bearer {token}"}

    async def post(
        self,
        path: str,
        body: object = None,
        *roles: Role,
        status: int = 200,
        key: str | None = None,
        by: UUID | None = None,
    ) -> Any:
        """POST as staff; the answer's JSON."""
        headers = self.headers(*roles, staff_id=by)
        if key:
            headers["Idempotency-Key"] = key
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, *roles: Role, status: int = 200, **query: Any) -> Any:
        """GET as staff; the answer's JSON."""
        answer = await self.client.get(path, params=query, headers=self.headers(*roles))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def request(self, kind: str, code: str | None = None, **need: Any) -> UUID:
        """A request for one need of a new person; the need's id."""
        answer = await self.post(
            "/v1/requests",
            {
                "person": {"client_code": code or f"c-{uuid4()}", "area": KYIV},
                "needs": [{"kind": kind, **need}],
            },
            status=201,
        )
        return UUID(answer["needs"][0]["need_id"])

    async def merge(self, person_id: object, into_id: object, *, status: int = 200) -> str:
        """A caseworker finds that two records are one person, and a lead confirms it."""
        body = {"into_person_id": str(into_id)}
        made = await self.post(f"/v1/persons/{person_id}:merge", body, status=status)
        if status == 200:
            path = f"/v1/merges/{made['merge_id']}:confirm"
            await self.post(path, None, Role.LEAD, by=uuid4())
        return str(made.get("merge_id"))

    async def need(self, need_id: UUID) -> dict[str, Any]:
        """A need as the desk shows it."""
        found: dict[str, Any] = await self.get(f"/v1/needs/{need_id}")
        return found

    async def state(self, need_id: UUID) -> str:
        """Where a need stands."""
        return str((await self.need(need_id))["state"])

    async def feed(
        self,
        *events: Event,
        said_at: datetime | None = None,
        stream: Stream = Stream.LOCAL,
        region: str | None = None,
    ) -> list[Event]:
        """Take in events as one batch; what was published since the last look.

        Args:
            said_at: when the others said so; None for just now.
            region: who says so; None for the own region.
        """
        (subscription,) = [s for s in self.service.subscriptions if s.stream is stream]
        async with self.db.transaction() as tx:
            for handler in dict.fromkeys(subscription.handlers.values()):
                group = [
                    received(event, said_at or tx.now, region or self.region)
                    for event in events
                    if subscription.handlers.get(type(event)) is handler
                ]
                if group:
                    await handler(tx, group)
        return await self.published()

    async def sweep(self, name: str) -> int:
        """Run one sweep."""
        (sweep,) = (each for each in self.service.sweeps if each.name == name)
        async with self.db.transaction() as tx:
            return await sweep.run(tx)

    async def published(self, *, from_start: bool = False) -> list[Event]:
        """What was published since the last look, or ever."""
        async with self.db.read() as conn:
            rows = await conn.fetch(
                "SELECT seq, headers::json ->> 'ce-type' AS type, payload FROM outbox"
                " WHERE seq > $1 ORDER BY seq",
                0 if from_start else self._seen,
            )
        if rows:
            self._seen = rows[-1]["seq"]
        return [REGISTRY[row["type"]].model_validate_json(row["payload"]) for row in rows]


def only(events: Sequence[Event], cls: type[E]) -> list[E]:
    """The events of one class."""
    return [event for event in events if isinstance(event, cls)]


def received(event: Event, occurred_at: datetime, region: str = "kyiv") -> Received[Any]:
    """An event as it comes in."""
    event_id = new_event_id()
    return Received(
        event=event,
        event_id=event_id,
        correlation_id=event_id,
        occurred_at=occurred_at,
        region=region,
        epoch=1,
        version=None,
        content_hash=b"",
    )


async def open_world(dsn: str, folder: Path, region: str = "kyiv", **more: Any) -> World:
    """Build intake as its process does, without the broker.

    Args:
        more: further settings.
    """
    create_region_keys(folder / "keys")
    settings = Settings(
        region=region, database_url=SecretStr(dsn), keys_dir=folder / "keys", **more
    )
    service = build(settings)
    assert service.database is not None
    await service.database.open()
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=service.app),
        base_url="http://intake",
        event_hooks={"response": [as_told(service.app)]},
    )
    ring = KeyRing(folder / "keys", (TOKENS, NOTIFICATION, PAYMENTS))
    return World(service, service.database, ring, client, region)


async def waiting(world: World, kind: str = "food_parcel", quantity: int = 1) -> UUID:
    """A need that was refused for lack of supply."""
    need_id = await world.request(kind, quantity=quantity)
    if quantity > 1:  # more than the limit allows one person
        why = {"override_reason": "large_family"}
        await world.post(f"/v1/needs/{need_id}:approve", why, Role.LEAD)
    approved = [e for e in only(await world.published(), NeedApprovedV1) if e.need_id == need_id]
    if approved:
        await world.feed(refused(approved[0]))
    assert await world.state(need_id) == "waitlisted"
    await world.published()
    return need_id


def held(need_id: UUID, attempt_no: int = 1) -> ReservationHeldV1:
    """Inventory sets something aside."""
    return ReservationHeldV1(
        reservation_id=_reservation(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        hold_until=datetime.now(UTC) + timedelta(minutes=15),
        site_id=SITE,
    )


def confirmed(need_id: UUID, attempt_no: int = 1) -> ReservationConfirmedV1:
    """Inventory's hold became firm."""
    return ReservationConfirmedV1(
        reservation_id=_reservation(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        site_id=SITE,
    )


def issued(need_id: UUID, attempt_no: int = 1, issue_no: int = 1) -> ReservationIssuedV1:
    """Inventory handed something over."""
    return ReservationIssuedV1(
        reservation_id=_reservation(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        issue_no=issue_no,
        how="handover",
        served_on=date(2024, 5, 6),
        site_id=SITE,
        area=KYIV,
        quantity=1,
        unit="piece",
    )


def undone(need_id: UUID, attempt_no: int = 1, issue_no: int = 1) -> ReservationReversedV1:
    """Inventory took a handover back."""
    return ReservationReversedV1(
        reservation_id=_reservation(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        issue_no=issue_no,
        reason="mistake",
    )


def refused(
    approved: NeedApprovedV1,
    *,
    decided_at: datetime | None = None,
    reason: str = "short",
    free: tuple[int, ...] = (),
) -> ReservationRefusedV1:
    """Inventory has not enough of the first thing that is asked for, but so much at some sites."""
    resource: str
    if approved.capacity is not None:
        resource, code = approved.capacity.resource, approved.capacity.code
        quantity = approved.capacity.places
    else:
        resource, code = "stock", approved.stock[0].item
        quantity = approved.stock[0].quantity
    return ReservationRefusedV1.model_validate(
        {
            "need_id": approved.need_id,
            "attempt_no": approved.attempt_no,
            "reason": reason,
            "blocked_by": BlockedBy.model_validate(
                {
                    "resource": resource,
                    "code": code,
                    "area": approved.place_area,
                    "quantity": quantity,
                }
            ),
            "free_quantities": free,
            "decided_at": decided_at or datetime.now(UTC),
        }
    )


def grew(
    item: str, quantity: int, *, freed_by: UUID | None = None, at: datetime | None = None
) -> SupplyGrewV1:
    """Inventory has more of something."""
    return SupplyGrewV1(
        resource="stock",
        code=item,
        site_id=SITE,
        area=KYIV,
        quantity=quantity,
        freed_by=None if freed_by is None else NeedId(freed_by),
        grew_at=at or datetime.now(UTC),
    )


def money_held(need_id: UUID, amount_minor: int, attempt_no: int = 1) -> CommitmentHeldV1:
    """Payments sets money aside."""
    return CommitmentHeldV1(
        commitment_id=commitment_of(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        grant_id=GRANT,
        allotment_id=AllotmentId(GRANT),
        amount_minor=amount_minor,
        currency="UAH",
        hold_until=datetime.now(UTC) + timedelta(minutes=15),
    )


def money_made(
    need_id: UUID, amount_minor: int, attempt_no: int = 1, *, sent: bool | None = None
) -> CommitmentMadeV1:
    """Payments committed."""
    return CommitmentMadeV1(
        commitment_id=commitment_of(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        grant_id=GRANT,
        amount_minor=amount_minor,
        currency="UAH",
        sent=sent,
    )


def money_spent(
    need_id: UUID, amount_minor: int, *, fulfils: bool, attempt_no: int = 1
) -> CommitmentSpentV1:
    """Payments paid."""
    return CommitmentSpentV1(
        commitment_id=commitment_of(need_id, attempt_no),
        need_id=NeedId(need_id),
        attempt_no=attempt_no,
        spend_no=1,
        grant_id=GRANT,
        amount_minor=amount_minor,
        currency="UAH",
        spent_on=date(2024, 5, 6),
        fulfils=fulfils,
    )


def _reservation(need_id: UUID, attempt_no: int) -> ReservationId:
    return ReservationId(derive_id("reservation", need_id, attempt_no))


def commitment_of(need_id: UUID, attempt_no: int) -> CommitmentId:
    return CommitmentId(derive_id("commitment", need_id, attempt_no))
