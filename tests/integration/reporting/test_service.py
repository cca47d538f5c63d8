"""The service as it is put together: its API, and rebuilding from the streams."""

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.idempotency import posts_without_key
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId, NeedId, PersonId
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReversedV1,
    NeedUnlistedV1,
    NeedWaitlistedV1,
)
from aidmesh_contracts.payments import GrantChangedV1, GrantTerms
from aidmesh_contracts.reporting import MonthlyResultsV1, ResultLine
from aidmesh_contracts.restriction import UNRESTRICTED
from aidmesh_contracts.values import BlockedBy, GrantShare
from aidmesh_reporting.app import build
from aidmesh_reporting.config import Settings
from aidmesh_reporting.domain.months import first_day, last_day, month_of
from aidmesh_reporting.handlers import record
from aidmesh_reporting.rebuild import keep_from_streams, rebuild
from aidmesh_reporting.store.kept import empty_read_models
from integration.reporting.model import START, received
from support.servers import DatabaseFactory, NatsRegion

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
        )

    async def take(self, *batch: Received[Event]) -> None:
        async with self.db.transaction() as tx:
            await record(tx, batch)


@pytest.fixture
async def built(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Built]:
    create_region_keys(tmp_path / "keys")
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("reporting")),
            keys_dir=tmp_path / "keys",
        )
    )
    assert service.database is not None
    assert service.peers is not None
    await service.database.open()
    yield Built(service, service.database, tmp_path / "keys", service.peers)
    await service.database.close()


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


async def test_every_figure_carries_its_region_and_freshness(built: Built) -> None:
    await fill(built)
    async with built.client(Role.LEAD) as client:
        answer = (await client.get("/v1/results", params={**MARCH, "by": "kind"})).json()
        assert answer["region"] == "kyiv"
        assert answer["provisional"] is True
        assert answer["last_event_at"] is not None
        assert {line["kind"]: (line["people"], line["services"]) for line in answer["lines"]} == {
            "food_parcel": (7, 6),
            "legal_advice": (1, 1),
        }
        assert answer["total"]["people"] == 7
        assert answer["total"]["amounts"] == {"UAH": 3500}
        whole = answer["whole"]
        assert whole["total"]["people"] == 37
        assert whole["total"]["services"] == 38
        assert [source["region"] for source in whole["regions"]] == ["kyiv", "lviv"]
        assert whole["regions"][1]["as_of"].startswith("2024-01-01")
        partly = await client.get("/v1/results", params={"from": "2024-03-02", "to": "2024-03-31"})
        assert partly.json()["whole"]["left_out"] == ["2024-03"]
        assert partly.json()["whole"]["total"]["people"] == 7

        settled = await client.post("/v1/months/2024-03:settle", headers=key())
        assert settled.status_code == 200
        answer = (await client.get("/v1/results", params=MARCH)).json()
        assert answer["provisional"] is False
        assert answer["whole"]["provisional"] is True  # Lviv has not said so of its part
        future = await client.post("/v1/months/2099-01:settle", headers=key())
        assert future.json()["type"] == "urn:aidmesh:problem:month-not-over"
        months = (await client.get("/v1/months")).json()
        assert [each["month"] for each in months] == ["2024-03"]
        grants = (await client.get("/v1/grants")).json()
        assert [each["code"] for each in grants] == ["qn-2024"]
    assert posts_without_key(built.service.app) == []


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


async def test_the_public_variant_shows_no_small_numbers(built: Built) -> None:
    await fill(built)
    many = [service(30 + each, [each], kind="counselling") for each in range(6)]
    await built.take(*(received(event, 200 + number) for number, event in enumerate(many)))
    async with built.client(Role.CASEWORKER) as client:
        assert (await client.get("/v1/results", params=MARCH)).status_code == 403
        answer = (await client.get("/v1/results/public", params={**MARCH, "by": "kind"})).json()
        # One person had legal advice: there is no word of it, nor of what it stands with where
        # other regions are told.
        assert answer["lines"] == [
            {"kind": "food_parcel", "area": None, "month": None,
             "people": 37, "services": 37, "contacts": 0}
        ]  # fmt: skip
        assert answer["total"] == {"people": 37, "services": 37, "contacts": 0}
        assert "left_out" not in str(answer)
        for refused in (
            {**MARCH, "by": "kind,area"},
            {**MARCH, "by": "grant"},
            {"from": "2024-03-02", "to": "2024-03-31"},
            {"from": "2024-03-31", "to": "2024-03-01"},
            {**MARCH, "by": "person"},
        ):
            assert (await client.get("/v1/results/public", params=refused)).status_code == 422, (
                refused
            )


async def public_answers(built: Built) -> list[object]:
    """Everything the public variant tells of some months, but for the time of the answer."""
    found = []
    async with built.client(Role.CASEWORKER) as client:
        for last in ("2024-03-31", "2024-04-30"):
            for by in ("", "kind", "area", "month"):
                period = {"from": "2024-03-01", "to": last, "by": by}
                answer = (await client.get("/v1/results/public", params=period)).json()
                assert answer.pop("as_of")
                assert answer["regions"][0].pop("as_of")
                found.append(answer)
    return found


async def test_few_people_more_change_nothing_in_public(built: Built) -> None:
    await fill(built)
    many = [service(10 + each, [each], kind="counselling") for each in range(6)]
    await built.take(*(received(event, 200 + number) for number, event in enumerate(many)))
    await built.take(received(lviv(1, 40, "2024-05"), 102, "lviv"))
    before = await public_answers(built)
    assert "37" in str(before)
    april = date(2024, 4, 2)
    await built.take(
        received(service(30, [80], kind="pep"), 300),
        received(service(31, [81], kind="pep", day=april), 301),
        *(received(paid(32 + each, 82, sensitive=False), 302 + each) for each in range(6)),
        received(lviv(1, 3, "2024-04"), 310, "lviv"),
        received(service(40, []).model_copy(
            update={"headcount": 3, "kind": "outreach", "sensitive": False}), 311),
    )  # fmt: skip
    assert await public_answers(built) == before


async def test_the_same_few_under_two_grants_of_another_region_are_not_many(built: Built) -> None:
    await fill(built)
    before = await public_answers(built)
    line = ResultLine(
        area="UA21", kind="counselling", grant_id=GRANT, people=3,
        services=3, contacts=0, quantity=90, unit="minute", sensitive=False,
    )  # fmt: skip
    told = lviv(3, 30)
    other = line.model_copy(update={"grant_id": None})
    await built.take(
        received(told.model_copy(update={"lines": (*told.lines, line, other)}), 400, "lviv")
    )
    assert await public_answers(built) == before


async def test_what_one_person_was_paid_is_no_quantity(built: Built) -> None:
    await built.take(received(paid(1, 1, sensitive=False), 1), received(service(2, [1]), 2))
    query = {**MARCH, "by": "kind"}
    async with built.client(Role.FINANCE) as client:
        answer = await client.get("/v1/results", params=query)
        assert "250000" not in answer.text
        found = {line["kind"]: line["quantities"] for line in answer.json()["lines"]}
        assert found == {"food_parcel": {"piece": 2}, "cash": {}}
        for part in ("own", "whole"):
            text = (await client.get("/v1/results.csv", params={**query, "part": part})).text
            assert "250000" not in text
            assert "piece:2" in text
    async with built.client(Role.LEAD) as client:
        answer = await client.get("/v1/results", params=query)
        found = {line["kind"]: line["quantities"] for line in answer.json()["lines"]}
        assert found["cash"] == {"uah": 250_000}
        assert "uah:250000" in (await client.get("/v1/results.csv", params=query)).text


async def test_the_whole_is_settled_when_every_region_linked_with_said_so(built: Built) -> None:
    await fill(built)

    async def provisional() -> list[bool]:
        async with built.client(Role.LEAD) as client:
            answer = (await client.get("/v1/results", params=MARCH)).json()
            public = (await client.get("/v1/results/public", params=MARCH)).json()
        assert answer["provisional"] is False
        return [answer["whole"]["provisional"], public["provisional"]]

    async with built.client(Role.LEAD) as client:
        await client.post("/v1/months/2024-03:settle", headers=key())
    await built.take(received(lviv(3, 30, settled=True), 102, "lviv"))
    assert await provisional() == [True, True]  # nobody knows yet who else there is
    built.peers.expect({"lviv", "odesa"})
    assert await provisional() == [True, True]  # Odesa has never told a month
    await built.take(received(lviv(1, 9, "2024-03", settled=True), 103, "odesa"))
    assert await provisional() == [False, False]
    await built.take(received(lviv(1, 9, "2024-03"), 104, "dnipro"))
    assert await provisional() == [True, True]  # linked with no more, but a part of the sum
    built.peers.expect({"lviv", "odesa", "dnipro"})
    built.peers.heard("beat.lviv", b"reporting")
    async with built.client(Role.LEAD) as client:
        for path in ("/v1/results", "/v1/results/public"):
            answer = (await client.get(path, params=MARCH)).json()
            regions = answer.get("whole", answer)["regions"]
            assert {(each["region"], (each["link"] or {}).get("state")) for each in regions} == {
                ("kyiv", None),
                ("lviv", "up"),
                ("odesa", "dark"),
                ("dnipro", "dark"),
            }
    await built.take(received(lviv(2, 9, settled=True), 105, "dnipro"))
    assert await provisional() == [False, False]


async def test_what_is_sensitive_stands_apart_for_those_who_may_not_see_it(built: Built) -> None:
    await fill(built)
    nothing = {"people": 0, "services": 0, "contacts": 0}
    by = {**MARCH, "by": "kind,area,grant"}
    for role in (Role.FINANCE, Role.APPROVER, Role.ONCALL):
        async with built.client(role) as client:
            text = (await client.get("/v1/results", params=by)).text
            assert "legal_advice" not in text
            few = (await client.get("/v1/results", params=MARCH)).json()
            assert few["total"]["services"] == 6
            assert few["total"]["amounts"] is None
            assert few["apart"] == nothing
            assert few["whole"]["regions"][1]["months"] is None
            text = (await client.get("/v1/results.csv", params=by)).text
            assert "legal_advice" not in text
            assert "sensitive" not in text

    more = [service(30 + each, [each % 6], kind="kind_1") for each in range(7)]
    # Other regions are told of these together with the one who had legal advice.
    more += [service(40 + each, [each], kind="kind_2") for each in range(5)]
    # In another month, and days that have to be given whole: nothing can be subtracted.
    more.append(service(50, [9], kind="kind_1", day=date(2024, 4, 1)))
    await built.take(*(received(event, 200 + number) for number, event in enumerate(more)))
    told = {"people": 6, "services": 7, "contacts": 0}
    async with built.client(Role.FINANCE) as client:
        many = (await client.get("/v1/results", params={**MARCH, "by": "area"})).json()
        assert many["apart"] == many["whole"]["apart"] == told
        assert [line["services"] for line in many["lines"]] == [6]
        part = {"from": "2024-03-02", "to": "2024-04-30"}
        assert (await client.get("/v1/results", params=part)).json()["apart"] == nothing
        spring = {"from": "2024-03-01", "to": "2024-04-30"}
        assert (await client.get("/v1/results", params=spring)).json()["apart"] == told
        rows = list(
            csv.reader((await client.get("/v1/results.csv", params=MARCH)).text.splitlines())
        )
        assert rows[-1][1:4] == ["6", "False", "7"]
        assert rows[-1][-1] == "provisional+sensitive"
        public = (await client.get("/v1/results/public", params={**MARCH, "by": "area"})).json()
        assert public["apart"] == told
        assert [line["services"] for line in public["lines"]] == [31, 6]
    async with built.client(Role.LEAD) as client:
        whole = (await client.get("/v1/results", params={**MARCH, "by": "kind"})).json()
        assert whole["apart"] is None
        assert {line["kind"]: line["services"] for line in whole["lines"]} == {
            "food_parcel": 6, "kind_1": 7, "kind_2": 5, "legal_advice": 1,
        }  # fmt: skip


async def test_a_month_that_runs_is_not_watched_as_it_grows(built: Built) -> None:
    today = datetime.now(UTC).date()
    await built.take(
        *(received(service(each, [each], kind="pep", day=today), each) for each in range(9))
    )
    month = {
        "from": first_day(month_of(today)).isoformat(), "to": last_day(month_of(today)).isoformat()
    }  # fmt: skip
    nothing = {"people": 0, "services": 0, "contacts": 0}
    async with built.client(Role.FINANCE) as client:
        assert (await client.get("/v1/results", params=month)).json()["apart"] == nothing
        public = (await client.get("/v1/results/public", params=month)).json()
        assert (public["apart"], public["total"]["services"]) == (nothing, 0)


async def test_a_figure_can_be_traced_to_services_and_events(built: Built) -> None:
    await fill(built)
    found: list[dict[str, object]] = []
    params = {**MARCH, "kind": "food_parcel", "grant_id": str(GRANT), "limit": "4"}
    async with built.client(Role.LEAD) as client:
        while True:
            page = (await client.get("/v1/results/trace", params=params)).json()
            found += page["services"]
            if page["next"] is None:
                break
            params["after"] = page["next"]
        none = await client.get("/v1/results/trace", params={**MARCH, "without_grant": "true"})
        assert none.json()["services"] == []
    assert len(found) == 6
    assert {each["need_id"] for each in found} == {str(UUID(int=1000 + n)) for n in range(6)}
    assert all(each["event_ids"] for each in found)
    async with built.client(Role.FINANCE) as client:
        assert (await client.get("/v1/results/trace", params=MARCH)).status_code == 403


async def test_csv_carries_hxl_hashtags(built: Built) -> None:
    await fill(built)
    async with built.client(Role.LEAD) as client:
        answer = await client.get("/v1/results.csv", params={**MARCH, "by": "area,grant"})
    assert answer.headers["content-type"].startswith("text/csv")
    names, tags, *rows = csv.reader(io.StringIO(answer.text))
    assert names[:3] == ["region", "area", "grant"]
    assert tags[:4] == ["#org+region", "#adm1+code", "#project+grant+code", "#reached+people"]
    assert rows == [["kyiv", "UA80", "qn-2024", "7", "True", "7", "0", "piece:14", "provisional"]]


def waits(
    number: int, version: int = 0, *, code: str = "parcel", kind: str = "food_parcel", **more: bool
) -> NeedWaitlistedV1:
    return NeedWaitlistedV1(
        need_id=NeedId(UUID(int=1000 + number)),
        version=version,
        attempt_no=1,
        kind=kind,
        area="UA80",
        asked_on=date(2024, 3, number),
        blocked_by=BlockedBy(resource="stock", code=code, quantity=2),
        **more,
    )


def unlisted(number: int, version: int) -> NeedUnlistedV1:
    return NeedUnlistedV1(need_id=NeedId(UUID(int=1000 + number)), version=version)


async def test_waiting_needs_are_those_that_wait_now_in_whatever_order_it_is_told(
    built: Built,
) -> None:
    told = [
        waits(1, 2),
        waits(2, 2),
        unlisted(2, 3),  # it is being asked for
        waits(3, 2),
        unlisted(3, 3),
        waits(3, 4, code="kit"),  # it was refused once more, for something else
        waits(4, 2),
        waits(4, 3, code="kit"),  # it was moved, and waits on
        waits(5, 2),
        unlisted(5, 3),
        service(5, [5]),
        NeedReversedV1(need_id=NeedId(UUID(int=1005)), service_no=1, reason="entry_error"),
    ]
    lines: list[dict[str, object]] = []
    for first, order in ((1, told), (100, told[::-1])):
        async with built.db.transaction() as tx:
            await empty_read_models(tx.conn)
        for number, event in enumerate(order, start=first):
            await built.take(received(event, number))
        async with built.client(Role.LEAD) as client:
            lines = (await client.get("/v1/waiting")).json()
        assert {each["code"]: each["needs"] for each in lines} == {"kit": 2, "parcel": 1}
        assert {each["code"]: each["quantity"] for each in lines} == {"kit": 4, "parcel": 2}
    await rebuild(built.db)
    async with built.client(Role.LEAD) as client:
        assert (await client.get("/v1/waiting")).json() == lines


async def test_what_was_told_without_versions_waits_until_it_is_served_or_closed(
    built: Built,
) -> None:
    closed = NeedClosedV1(need_id=NeedId(UUID(int=1003)), state="cancelled", reason="moved_away")
    await built.take(received(service(1, [1]), 1), received(closed, 2))
    await built.take(*(received(waits(number), 10 + number) for number in range(1, 6)))
    async with built.client(Role.CASEWORKER, Role.LEAD) as client:
        [line] = (await client.get("/v1/waiting")).json()
        assert (line["needs"], line["quantity"], line["oldest_asked_on"]) == (3, 6, "2024-03-02")
        assert (await client.get("/v1/closed")).json() == [
            {"state": "cancelled", "reason": "moved_away", "needs": 1}
        ]
    await built.take(received(unlisted(2, 7), 20))
    async with built.client(Role.LEAD) as client:
        [line] = (await client.get("/v1/waiting")).json()
    assert line["needs"] == 2
    async with built.client(Role.FINANCE) as client:
        assert (await client.get("/v1/closed")).json() == [
            {"state": "cancelled", "reason": None, "needs": 1}
        ]


async def test_who_waits_for_what_is_sensitive_is_counted_by_role(built: Built) -> None:
    told = [
        waits(1, kind="kind_1", sensitive=False),
        waits(2, kind="kind_2", sensitive=True),
        waits(3, kind="kind_3"),
    ]
    await built.take(*(received(event, number) for number, event in enumerate(told)))
    for role, kinds in [
        (Role.LOGISTICIAN, ["kind_1"]),
        (Role.FINANCE, ["kind_1"]),
        (Role.CASEWORKER, ["kind_1", "kind_2", "kind_3"]),
        (Role.LEAD, ["kind_1", "kind_2", "kind_3"]),
    ]:
        async with built.client(role) as client:
            rows = (await client.get("/v1/waiting")).json()
        assert sorted(row["kind"] for row in rows) == kinds


async def test_a_lost_database_is_filled_again_from_the_streams(
    built: Built, nats_region: NatsRegion
) -> None:
    client = await nats_region.admin()
    try:
        js = client.jetstream()
        origin = Origin("kyiv", "intake")
        events: list[Event] = [service(number, [number]) for number in range(40)]
        events += [GRANT_CHANGED, service(0, [0])]
        ids = [UUID(int=500 + number) for number in range(41)]
        for event, event_id in zip(events, [*ids, ids[0]], strict=True):
            row = row_of(event, origin, START, cause=None, event_id=event_id, version=None)
            await js.publish(row.subject, row.payload, headers=json.loads(row.headers))
        assert await keep_from_streams(built.db, client, "kyiv") == 41
        assert await keep_from_streams(built.db, client, "kyiv") == 41
    finally:
        await client.close()
    assert await rebuild(built.db) == 41
    async with built.client(Role.LEAD) as lead:
        answer = (await lead.get("/v1/results", params=MARCH)).json()
    assert (answer["total"]["people"], answer["total"]["services"]) == (40, 40)
