"""The service as it is put together: its API, and rebuilding from the streams."""

import csv
import io
import json
from datetime import date
from functools import partial
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_reporting.handlers.publishing import publish
from aidmesh_reporting.rebuild import keep_from_streams, rebuild
from integration.reporting.model import START, received
from integration.reporting.region import GRANT, GRANT_CHANGED, MARCH, Built, fill, key, service
from support.bodies import lax_bodies, misread_routes
from support.paging import walk
from support.routes import posts_without_key
from support.servers import NatsRegion


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
        months = (await client.get("/v1/months")).json()["months"]
        assert [each["month"] for each in months] == ["2024-03"]
        # In which nothing was given, and which counts as provisional until it is settled, too.
        await client.post("/v1/months/2024-01:settle", headers=key())
        months = (await client.get("/v1/months")).json()["months"]
        assert [each["month"] for each in months if each["settled_at"]] == ["2024-01", "2024-03"]
        grants = (await client.get("/v1/grants")).json()["grants"]
        assert [each["code"] for each in grants] == ["qn-2024"]
    assert posts_without_key(built.service.app) == []
    assert lax_bodies(built.service.app) == set()
    assert misread_routes(built.service.app) == []


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


async def test_when_something_sensitive_was_given_is_not_told_by_what_changes(
    built: Built,
) -> None:
    await fill(built)

    async def seen(role: Role) -> list[Any]:
        async with built.db.transaction() as tx:
            await publish(tx)
        async with built.client(role) as client:
            months = (await client.get("/v1/months")).json()["months"]
            return [
                *months,
                (await client.get("/v1/results", params=MARCH)).json()["last_event_at"],
            ]

    before = {role: await seen(role) for role in (Role.FINANCE, Role.LEAD)}
    april = date(2024, 4, 2)
    await built.take(
        received(service(30, [80], kind="pep"), 300),
        received(service(31, [81], kind="pep", day=april), 301),
    )
    assert await seen(Role.FINANCE) == before[Role.FINANCE]
    march, _april, last_at = await seen(Role.LEAD)
    assert march["version"] == before[Role.LEAD][0]["version"] + 1
    assert last_at > before[Role.LEAD][-1]
    assert before[Role.FINANCE] == [
        {"month": "2024-03", "settled_at": None, "version": None, "published_at": None}, None,
    ]  # fmt: skip


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


async def test_a_grant_has_the_name_that_its_own_region_gave_it(built: Built) -> None:
    await built.take(received(GRANT_CHANGED, 1))
    terms = GRANT_CHANGED.terms
    renamed, odd = (
        GRANT_CHANGED.model_copy(
            update={"version": version, "terms": terms.model_copy(update={"code": code})}
        )
        for version, code in ((2, "qn-2025"), (9, "odd"))
    )
    await built.take(received(renamed, 2), received(odd, 3, "lviv"))
    async with built.client(Role.LEAD) as client:
        [grant] = (await client.get("/v1/grants")).json()["grants"]
    assert (grant["code"], grant["region"]) == ("qn-2025", "kyiv")


async def test_months_and_grants_are_read_page_by_page(built: Built) -> None:
    days = [date(2024, month, 4) for month in (3, 1, 2)]
    given = [service(number, [number], day=day) for number, day in enumerate(days)]
    grants = [
        GRANT_CHANGED.model_copy(
            update={
                "grant_id": GrantId(UUID(int=number)),
                "terms": GRANT_CHANGED.terms.model_copy(update={"code": code}),
            }
        )
        for number, code in ((3, "b"), (2, "b"), (1, "c"))
    ]
    await built.take(*(received(event, number) for number, event in enumerate((*given, *grants))))
    async with built.client(Role.LEAD) as client:

        async def get(path: str, query: dict[str, str]) -> Any:
            return (await client.get(path, params=query)).json()

        months = await walk(partial(get, "/v1/months"), "months")
        assert [each["month"] for each in months] == ["2024-01", "2024-02", "2024-03"]
        named = await walk(partial(get, "/v1/grants"), "grants")
        assert [(each["code"], UUID(each["grant_id"]).int) for each in named] == [
            ("b", 2), ("b", 3), ("c", 1),
        ]  # fmt: skip


async def test_results_split_too_finely_are_refused_with_what_to_do(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    await built.take(
        *(received(service(number, [number], kind=f"kind_{number}"), number) for number in range(3))
    )
    await fill(built)  # with another region's: five kinds together, and three of the own
    api = import_module("aidmesh_reporting.api.results")
    split, whole = {**MARCH, "by": "kind"}, "urn:aidmesh:problem:too-many-lines"
    async with built.client(Role.LEAD) as client:
        found = (await client.get("/v1/results", params=split)).json()
        own, together = len(found["lines"]), len(found["whole"]["lines"])
        for most, lead in ((together, 200), (together - 1, 422), (own - 1, 422)):
            monkeypatch.setattr(api, "LINES_MAX", most)
            for path in ("/v1/results", "/v1/results.csv"):
                answer = await client.get(path, params=split)
                assert answer.status_code == lead, (path, most)
                if lead != 200:
                    assert answer.json()["type"] == whole
                    assert "coarser" in answer.json()["detail"]
        assert (await client.get("/v1/results", params=MARCH)).status_code == 200
        monkeypatch.setattr(api, "LINES_MAX", 0)
        public = await client.get("/v1/results/public", params=split)
        assert (public.status_code, public.json()["type"]) == (422, whole)


async def test_results_are_of_days_that_are_possible(built: Built) -> None:
    async with built.client(Role.LEAD) as client:
        for path in ("/v1/results", "/v1/results.csv", "/v1/results/public"):
            answer = await client.get(path, params={"from": "9999-12-01", "to": "9999-12-31"})
            assert answer.status_code == 422, path
            errors = answer.json()["errors"]
            assert {each["field"] for each in errors} == {"query.from", "query.to"}
            assert {each["le"] for each in errors} == {"2099-12-31"}


async def test_csv_carries_hxl_hashtags(built: Built) -> None:
    await fill(built)
    async with built.client(Role.LEAD) as client:
        answer = await client.get("/v1/results.csv", params={**MARCH, "by": "area,grant"})
    assert answer.headers["content-type"].startswith("text/csv")
    names, tags, *rows = csv.reader(io.StringIO(answer.text))
    assert names[:3] == ["region", "area", "grant"]
    assert tags[:4] == ["#org+region", "#adm1+code", "#project+grant+code", "#reached+people"]
    assert rows == [["kyiv", "UA80", "qn-2024", "7", "True", "7", "0", "piece:14", "provisional"]]


async def test_a_lost_database_is_filled_again_from_the_streams(
    built: Built, nats_region: NatsRegion
) -> None:
    client = await nats_region.admin()
    try:
        js = client.jetstream()
        origin = Origin("kyiv", "intake")

        async def publish(event: Event, event_id: UUID) -> None:
            row = row_of(event, origin, START, cause=None, event_id=event_id, version=None)
            await js.publish(row.subject, row.payload, headers=json.loads(row.headers))

        # How regions stand is no fact: a stream may hold nothing but that.
        lost = RegionChangedV1(region="odesa", standing="lost", epoch=1, since=START)
        await publish(lost, UUID(int=499))
        assert await keep_from_streams(built.db, client, "kyiv") == 1
        events: list[Event] = [service(number, [number]) for number in range(40)]
        events += [GRANT_CHANGED, service(0, [0])]
        ids = [UUID(int=500 + number) for number in range(41)]
        for event, event_id in zip(events, [*ids, ids[0]], strict=True):
            await publish(event, event_id)
        assert await keep_from_streams(built.db, client, "kyiv") == 42
        assert await keep_from_streams(built.db, client, "kyiv") == 42
    finally:
        await client.close()
    assert await rebuild(built.db) == 41
    async with built.client(Role.LEAD) as lead:
        answer = (await lead.get("/v1/results", params=MARCH)).json()
    assert (answer["total"]["people"], answer["total"]["services"]) == (40, 40)
