"""The story of an id: in order, without what is sensitive, and with what keeps it from going on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh.status import PeerStatus, RegionStatus, attention_of, said_of
from aidmesh.story.between import between
from aidmesh.story.links import SEE_LINK, troubles
from aidmesh.story.told import (
    PATIENCE_S,
    TELL_NOTHING,
    Json,
    Said,
    Took,
    of_one_story,
    story,
    takers,
)
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import Stream

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEED = str(UUID(int=1))
REGIONS = ("kyiv", "lviv")
APPROVED = Said(
    at=NOW - timedelta(minutes=5),
    region="kyiv",
    service="intake",
    event_id=UUID(int=10),
    type="intake.need.approved.v1",
    stream=Stream.LOCAL,
    state="acked",
    about=NEED,
    payload={"need_id": NEED, "attempt_no": 1, "kind": "food_parcel", "sensitive": False},
)


def took(service: str, event_id: int = 10, **other: object) -> Took:
    return replace(Took("kyiv", service, UUID(int=event_id), NOW), **other)  # type: ignore[arg-type]


def told(*said: Said, by: tuple[Took, ...] = ()) -> list[str]:
    return list(story(NEED, said, by, REGIONS, NOW).trouble)


def test_nothing_is_wrong_with_what_everybody_took_in() -> None:
    assert told(APPROVED, by=(took("inventory"), took("payments"))) == []


def test_who_did_not_take_it_in_is_named() -> None:
    (line,) = told(APPROVED, by=(took("inventory"),))
    assert line.startswith("intake.need.approved was not taken in by kyiv payments-local")


@given(st.floats(0, PATIENCE_S))
def test_what_was_said_a_moment_ago_is_not_missed(age_s: float) -> None:
    fresh = replace(APPROVED, at=NOW - timedelta(seconds=age_s))
    assert told(fresh) == []
    assert told(replace(fresh, state="pending")) == []


def test_what_waits_in_the_outbox_is_told_and_nobody_is_blamed_for_it() -> None:
    (line,) = told(replace(APPROVED, state="pending"))
    assert "5 min in the outbox of kyiv intake" in line


@pytest.mark.parametrize("status", ["failing", "dead"])
def test_letters_are_named_as_aidmesh_dead_takes_them(status: str) -> None:
    (line,) = told(
        APPROVED,
        by=(took("inventory"), took("payments", letter=7, status=status, reason="no_such_grant")),
    )
    assert "no_such_grant" in line
    assert "aidmesh dead show kyiv/payments/7" in line


def test_what_was_dropped_or_is_tried_later_is_in_nobodys_way() -> None:
    for status in ("parked", "dropped"):
        assert told(APPROVED, by=(took("inventory"), took("payments", status=status))) == []


def test_a_handoff_without_an_answer_is_told() -> None:
    handoff = replace(
        APPROVED, type="intake.referral.offered.v1", stream=Stream.HANDOFF, state="waiting",
        to_region="lviv", tries=4, payload=None,
    )  # fmt: skip
    (line,) = told(handoff)
    assert "for lviv has no answer for 5 min (4 tries)" in line
    assert str(handoff.event_id) in line
    assert [(each.region, each.service) for each in takers(handoff, REGIONS)] == [
        ("lviv", "intake")
    ]


DARK = {("kyiv", "lviv"): PeerStatus("lviv", "dark", "noon", 7, "11:59")}


def test_a_handoff_without_an_answer_says_how_the_link_is() -> None:
    handoff = replace(APPROVED, stream=Stream.HANDOFF, state="waiting", to_region="lviv")
    (line,) = story(NEED, [handoff], (), REGIONS, NOW, links=DARK).trouble
    assert line.endswith("; kyiv: lviv is dark since noon, last event #7 11:59")
    assert troubles(DARK, [("kyiv", "lviv")], [line]) == [], "it is said once"
    assert troubles(DARK, [("kyiv", "lviv")] * 2, []) == ["kyiv: lviv is dark since noon"]
    assert troubles(DARK, [("lviv", "kyiv"), ("kyiv", "odesa")], []) == []


def test_what_did_not_come_over_a_link_that_is_dark_is_blamed_on_no_service() -> None:
    grant = replace(APPROVED, region="lviv", service="payments", stream=Stream.EVENTS,
                    type="payments.grant.changed.v1")  # fmt: skip
    found = story(NEED, [grant], (), ("kyiv",), NOW, links=DARK).trouble
    assert found
    assert {line.partition(": ")[2] for line in found} == {"kyiv: lviv is dark since noon"}
    up = {("kyiv", "lviv"): PeerStatus("lviv", "up", "noon")}
    again = story(NEED, [grant], (), ("kyiv",), NOW, links=up).trouble
    assert all("is the service up?" in line for line in again)
    assert len(again) == len(found)


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (PeerStatus("lviv", "up", "noon", 7, "11"), "lviv is up since noon, last event #7 11"),
        (PeerStatus("lviv", "up"), "lviv is up"),
        (PeerStatus("lviv", "dark"), "lviv is dark since unknown"),
        (PeerStatus("lviv", "dark", "noon", trouble="dark"), "lviv is dark since noon"),
        (PeerStatus("lviv", "up", "noon", 7, trouble="behind"), "lviv is behind, last event #7"),
        (PeerStatus("lviv", "dark", standing="lost", standing_since="noon"),
         "lviv is held for lost since noon"),
        (PeerStatus("lviv", "dark", standing="retired", standing_since="noon"),
         "lviv is retired since noon"),
        (PeerStatus("lviv", "unknown"), None),
    ],
)  # fmt: skip
def test_a_peer_is_told_as_status_tells_it(peer: PeerStatus, words: str | None) -> None:
    assert said_of(peer) == words
    found = RegionStatus("kyiv", 1, nats=True, postgres=True, services=(), peers=(peer,))
    assert all((words or "").startswith(line.removeprefix("kyiv: "))
               for line in attention_of([found]))  # fmt: skip


def shipment(state: str, **other: object) -> Json:
    return {"what": "shipment", "id": UUID(int=5), "state": state, "from_region": "kyiv",
            "to_region": "lviv", "since": NOW, **other}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "at", "waits", "peer"),
    [
        (shipment("preparing"), "kyiv", "waits to be sent off", None),
        (shipment("dispatched"), "kyiv", "waits until lviv has counted it", "lviv"),
        (shipment("receiving"), "kyiv", "waits until lviv has counted all of it", "lviv"),
        (shipment("preparing"), "lviv", "waits until kyiv sends it off", "kyiv"),
        (shipment("dispatched"), "lviv", "waits to be counted", None),
        (shipment("receiving"), "lviv", "waits for the rest to be counted", None),
        (shipment("asked", what="ask for goods"), "kyiv", "waits for an answer", None),
        (shipment("asked", what="ask for goods"), "lviv", "waits for the answer of kyiv", "kyiv"),
        (shipment("in_transit", what="money"), "kyiv", "waits until lviv has it", "lviv"),
    ],
)
def test_what_goes_between_regions_says_for_whom_it_waits(
    row: Json, at: str, waits: str, peer: str | None
) -> None:
    other = "lviv" if at == "kyiv" else "kyiv"
    way = f"to {other}" if at == "kyiv" else f"from {other}"
    (found,) = between(at, [row], {other: f"{at}: {other} is dark since noon"})
    assert found.line == (
        f"{at}: {row['what']} {UUID(int=5)} {way} is {row['state']} since 2026-03-01 12:00: {waits}"
    )
    assert found.regions == (() if peer is None else (peer,))
    assert ("is dark since noon" in found.todo[0]) == (peer is not None)
    if peer is not None:
        assert between(at, [row], {})[0].todo[0].endswith(SEE_LINK)


def test_only_regions_that_can_be_looked_at_are_missed() -> None:
    grant = replace(APPROVED, service="payments", type="payments.grant.changed.v1",
                    stream=Stream.EVENTS)  # fmt: skip
    regions = {each.region for each in takers(grant, ("kyiv",))}
    assert regions == {"kyiv"}
    assert {each.region for each in takers(grant, REGIONS)} == {"kyiv", "lviv"}


def test_a_service_whose_database_says_nothing_is_not_missed() -> None:
    silent = {("kyiv", "payments")}
    found = story(NEED, [APPROVED], (), REGIONS, NOW, silent)
    assert [taker.service for step in found.steps for taker in step.missing] == ["inventory"]


def test_nothing_that_may_be_sensitive_is_shown_where_intake_says_nothing() -> None:
    world = replace(APPROVED, event_id=UUID(int=11), stream=Stream.EVENTS)
    there = replace(APPROVED, event_id=UUID(int=12), region="lviv")
    said = [replace(APPROVED, event_id=UUID(int=9)), world, there]
    steps = story(NEED, said, (), REGIONS, NOW, {("kyiv", "intake")}).steps
    assert ["kind" in step.fields for step in steps] == [False, True, True]


def test_what_was_heard_is_missed_only_where_it_arrived() -> None:
    grant = replace(APPROVED, region="odesa", service="payments", type="payments.grant.changed.v1",
                    stream=Stream.EVENTS, heard_by=("kyiv",))  # fmt: skip
    assert {each.region for each in takers(grant, REGIONS)} == {"kyiv"}
    assert takers(grant, ()) == [], "nobody was asked who took it in"
    step = story(NEED, [grant], (), REGIONS, NOW).as_json()["steps"]
    assert isinstance(step, list)
    assert (step[0]["region"], step[0]["heard_by"]) == ("odesa", ["kyiv"])


def test_every_consumer_takes_its_events_in() -> None:
    for consumer in CONSUMERS:
        for event in consumer.events:
            said = replace(APPROVED, type=event.type, to_region="lviv")
            assert consumer.durable in {taker.durable for taker in takers(said, REGIONS)}


@given(st.permutations(range(6)))
def test_a_story_is_told_in_order_and_repeats_nothing(order: list[int]) -> None:
    said = [
        replace(APPROVED, at=NOW - timedelta(minutes=10 - number), event_id=UUID(int=number),
                payload={"need_id": NEED, "attempt_no": number // 3, "kind": "food_parcel"})
        for number in order
    ]  # fmt: skip
    steps = story(NEED, said, (), REGIONS, NOW).steps
    assert [step.said.event_id.int for step in steps] == list(range(6))
    assert [dict(step.fields) for step in steps] == [
        {"attempt_no": 0, "kind": "food_parcel"}, {}, {}, {"attempt_no": 1}, {}, {},
    ]  # fmt: skip


def test_nothing_tells_what_somebody_gets_where_one_word_is_sensitive() -> None:
    payload = {"need_id": NEED, "sensitive": True, "kind": "hiv_test"}
    sensitive = replace(APPROVED, event_id=UUID(int=11), payload=payload)
    steps = story(NEED, [APPROVED, sensitive], (), REGIONS, NOW).steps
    assert all(set(step.fields) <= TELL_NOTHING for step in steps)


def test_what_other_regions_say_of_a_person_among_themselves_is_another_story() -> None:
    there = replace(APPROVED, region="lviv", at=NOW)
    world = replace(there, stream=Stream.EVENTS, type="payments.grant.changed.v1", about="x")
    assert of_one_story([there, APPROVED, world], NEED) == [APPROVED, world]


def test_the_story_of_a_grant_is_told_without_the_people_it_serves() -> None:
    grant = replace(APPROVED, stream=Stream.EVENTS, about="g", type="payments.grant.changed.v1")
    assert of_one_story([APPROVED, grant], "g") == [grant]
