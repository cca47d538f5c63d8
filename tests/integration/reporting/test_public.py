"""What anybody may see, and what nobody can find out from it."""

from datetime import UTC, date, datetime

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.reporting import ResultLine
from aidmesh_reporting.domain.months import first_day, last_day, month_of
from aidmesh_reporting.store import results
from integration.reporting.model import received
from integration.reporting.region import GRANT, MARCH, Built, fill, key, lviv, paid, service


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


async def test_a_month_that_runs_is_not_watched_as_it_grows(built: Built) -> None:
    today = day_of(datetime.now(UTC))
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


@pytest.mark.parametrize(("minute", "is_over"), [("20:59", False), ("21:01", True)])
async def test_a_month_is_over_at_midnight_in_kyiv(
    built: Built, monkeypatch: pytest.MonkeyPatch, minute: str, is_over: bool
) -> None:
    now = datetime.fromisoformat(f"2024-03-31T{minute}Z")  # summer time began that morning

    async def at(*_: object) -> datetime:
        return now

    async def fresh_at(*_: object) -> tuple[datetime, None]:
        return now, None

    await built.take(*(received(service(each, [each], kind="pep"), each) for each in range(9)))
    monkeypatch.setattr(results, "freshness", fresh_at)
    told = {"people": 9 * is_over, "services": 9 * is_over, "contacts": 0}
    async with built.client(Role.FINANCE) as client:
        assert (await client.get("/v1/results", params=MARCH)).json()["apart"] == told
        public = (await client.get("/v1/results/public", params=MARCH)).json()
        assert public["apart"] == told
    async with built.client(Role.LEAD) as client:
        monkeypatch.setattr(built.db, "_now", at)
        settled = await client.post("/v1/months/2024-03:settle", headers=key())
        assert settled.status_code == (200 if is_over else 409)
