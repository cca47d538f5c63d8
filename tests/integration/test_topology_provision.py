"""Create or compare; nothing is rewritten silently, nothing lost by bringing it to the plan."""

from collections.abc import AsyncIterator

import pytest

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.config import RegionServer, dials, render
from aidmesh.topology.plan import DAY_NS, Plan, Remedy, plan_of
from aidmesh.topology.provision import TopologyError, apply, differences
from support.servers import NatsRegion


@pytest.fixture
async def api(nats_region: NatsRegion) -> AsyncIterator[JetStreamApi]:
    client = await nats_region.admin()
    yield JetStreamApi(client)
    await client.close()


async def config_of(api: JetStreamApi, stream: str, durable: str | None = None) -> Json:
    info = (
        await api.stream_info(stream)
        if durable is None
        else await api.consumer_info(stream, durable)
    )
    assert info is not None
    return section(info, "config")


def with_consumer(plan: Plan, changes: Json) -> Plan:
    """The plan with one durable changed."""
    key = ("LOCAL", "intake-local")
    return Plan(
        plan.region,
        plan.streams,
        {**plan.consumers, key: {**plan.consumers[key], **changes}},
    )


async def test_a_provisioned_region_is_as_planned(api: JetStreamApi) -> None:
    assert await differences(api, plan_of("kyiv", [])) == []
    assert await apply(api, plan_of("kyiv", [])) == []


async def test_a_peer_is_added_in_place(api: JetStreamApi) -> None:
    plan = plan_of("kyiv", ["lviv", "odesa"])
    (difference,) = await differences(api, plan)
    assert (difference.stream, difference.field) == ("WORLD", "sources")
    assert difference.remedy is Remedy.UPDATE
    await apply(api, plan)
    assert await differences(api, plan) == []


async def test_what_could_lose_messages_is_refused_before_anything_changes(
    api: JetStreamApi,
) -> None:
    await api.update_stream({**await config_of(api, "LOCAL"), "max_age": 30 * DAY_NS})
    with pytest.raises(TopologyError, match="LOCAL: max_age"):
        await apply(api, plan_of("kyiv", ["lviv"]))
    assert (await config_of(api, "LOCAL"))["max_age"] == 30 * DAY_NS
    assert not (await config_of(api, "WORLD")).get("sources")


async def test_fields_that_are_not_planned_are_kept(api: JetStreamApi) -> None:
    await api.update_stream({**await config_of(api, "WORLD"), "description": "ours"})
    await apply(api, plan_of("kyiv", ["lviv"]))
    assert (await config_of(api, "WORLD"))["description"] == "ours"


async def test_a_changed_durable_keeps_its_place_a_widened_one_starts_again(
    api: JetStreamApi,
) -> None:
    context = api.client.jetstream()
    await context.publish("local.kyiv.inventory.reservation.held.v1", b"{}")
    subscription = await context.pull_subscribe_bind("intake-local", "LOCAL")
    (message,) = await subscription.fetch(1)
    await message.ack_sync()

    plan = plan_of("kyiv", [])
    slower = with_consumer(plan, {"ack_wait": 60_000_000_000})
    (done,) = await apply(api, slower)
    assert done.remedy is Remedy.UPDATE
    info = await context.consumer_info("LOCAL", "intake-local")
    assert (info.num_pending, info.delivered and info.delivered.stream_seq) == (0, 1)

    wider = with_consumer(slower, {"filter_subjects": ["local.kyiv.>"]})
    (done,) = await apply(api, wider)
    assert done.remedy is Remedy.RECREATE
    info = await context.consumer_info("LOCAL", "intake-local")
    assert info.num_pending == 1
    assert await differences(api, wider) == []


async def test_what_is_not_ours_is_shown_and_left(api: JetStreamApi) -> None:
    await api.create_stream({"name": "EXTRA", "subjects": ["extra"], "storage": "memory"})
    config: Json = {"durable_name": "stranger", "ack_policy": "explicit"}
    await api.put_consumer("LOCAL", config, action="create")
    found = await differences(api, plan_of("kyiv", []))
    assert {(d.stream, d.durable, d.remedy) for d in found} == {
        ("EXTRA", None, Remedy.LEAVE),
        ("LOCAL", "stranger", Remedy.LEAVE),
    }
    assert await apply(api, plan_of("kyiv", [])) == []
    assert await api.stream_info("EXTRA") is not None


async def test_a_deleted_stream_and_durable_come_back(api: JetStreamApi) -> None:
    plan = plan_of("kyiv", [])
    await api.delete_stream("HANDOFF")
    await api.delete_consumer("LOCAL", "payments-local")
    done = await apply(api, plan)
    assert {d.remedy for d in done} == {Remedy.CREATE}
    assert await differences(api, plan) == []


def test_exactly_one_of_two_dials() -> None:
    assert dials("lviv", "kyiv")
    assert not dials("kyiv", "lviv")


def test_one_region_alone_has_no_links() -> None:
    alone = RegionServer("kyiv", 1, 2, '/quo"ted', {"intake": ("U1", "U2")})
    text = render(alone)
    assert "leafnodes" not in text
    assert "sync_interval: always" in text
    assert r"quo\"ted" in text
    assert "U1" in text
    assert "U2" in text
