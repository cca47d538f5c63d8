"""The contracts as committed: snapshots, samples, and what a version may change."""

import json
from pathlib import Path

import pytest

from aidmesh_contracts.__main__ import documents
from aidmesh_contracts.consumers import CONSUMERS, Consumer
from aidmesh_contracts.documents import incompatibilities, schema_of
from aidmesh_contracts.registry import ALL, REGISTRY
from aidmesh_contracts.streams import Stream, event_type_of

ROOT = Path(__file__).parents[2]


def test_generated_documents_are_what_the_code_says() -> None:
    stale = [
        name
        for name, text in documents().items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run `make documents` and look at the difference: {stale}"


def test_no_event_version_was_dropped_from_the_snapshots() -> None:
    committed = {path.stem for path in (ROOT / "shared/contracts/schemas").glob("*.json")}
    assert committed == set(REGISTRY)


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.type)
def test_types_name_producer_aggregate_event_and_version(event: type) -> None:
    producer, _aggregate, _name, version = event.type.split(".")  # type: ignore[attr-defined]
    # A producer may have several modules: `inventory`, `inventory_shipments`.
    module = event.__module__.removeprefix("aidmesh_contracts.")
    assert module == producer or module.startswith(f"{producer}_")
    assert version.startswith("v")
    assert event.__name__.endswith(version.upper())


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.durable)
def test_every_consumer_has_a_sample_of_each_event_it_takes(consumer: Consumer) -> None:
    path = ROOT / "shared/contracts/samples" / f"{consumer.durable}.ndjson"
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [sample["type"] for sample in samples] == [event.type for event in consumer.events]
    for sample in samples:
        REGISTRY[sample["type"]].model_validate_json(json.dumps(sample["payload"]))
        # A later producer may add fields; today's reader must not mind.
        REGISTRY[sample["type"]].model_validate({**sample["payload"], "added_later": 1})


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.durable)
def test_filters_lead_back_to_the_event(consumer: Consumer) -> None:
    for event, subject in zip(consumer.events, consumer.filter_subjects("kyiv"), strict=True):
        assert event_type_of(subject) == event.type
        assert subject.split(".")[1] == ("*" if consumer.stream is Stream.WORLD else "kyiv")


def test_consumers_read_the_stream_their_events_are_in() -> None:
    for consumer in CONSUMERS:
        home = Stream.EVENTS if consumer.stream is Stream.WORLD else consumer.stream
        assert {event.stream for event in consumer.events} == {home}


def test_only_optional_fields_may_be_added_within_a_version() -> None:
    old = schema_of(REGISTRY["inventory.reservation.held.v1"])
    added = json.loads(json.dumps(old))
    added["properties"]["remark"] = {"type": "string"}
    assert incompatibilities(old, added) == []
    added["required"].append("remark")
    assert incompatibilities(old, added) == ["remark: new and required"]
    removed = json.loads(json.dumps(old))
    del removed["properties"]["hold_until"]
    removed["required"].remove("hold_until")
    assert "hold_until: removed" in incompatibilities(old, removed)
    retyped = json.loads(json.dumps(old))
    retyped["properties"]["hold_until"] = {"type": "integer"}
    assert incompatibilities(old, retyped) == ["hold_until: changed"]


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.type)
def test_what_leaves_the_region_names_no_person(event: type) -> None:
    if event.stream is Stream.EVENTS:  # type: ignore[attr-defined]
        text = json.dumps(schema_of(event)["properties"])
        for word in ("person_id", "need_id", "household_id", "contact", "payee_ref", "address"):
            assert f'"{word}"' not in text, f"{event.__name__} would tell peers about {word}"
