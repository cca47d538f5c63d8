"""Brings a region's server to its plan: create or compare, never silently rewrite."""

from collections.abc import Sequence

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.plan import (
    Difference,
    Plan,
    Remedy,
    consumer_differences,
    stream_differences,
)


class TopologyError(Exception):
    """The server holds something that can't be brought to the plan without losing data."""

    def __init__(self, differences: list[Difference]) -> None:
        lines = "\n".join(str(difference) for difference in differences)
        super().__init__(f"the topology differs from the plan:\n{lines}")
        self.differences = differences


async def differences(api: JetStreamApi, plan: Plan) -> list[Difference]:
    """All that is missing, different or unknown on the server; changes nothing."""
    found: list[Difference] = []
    streams = await api.names("STREAM.NAMES", "streams")
    for name, wanted in plan.streams.items():
        config = await _stream_config(api, name) if name in streams else None
        found += stream_differences(name, config, wanted)
    for name in sorted(set(streams) - set(plan.streams)):
        found.append(Difference(name, None, "", None, None, Remedy.LEAVE))
    for (stream, durable), wanted in plan.consumers.items():
        info = await api.consumer_info(stream, durable) if stream in streams else None
        config = None if info is None else section(info, "config")
        found += consumer_differences(stream, durable, config, wanted)
    for stream in sorted(set(streams) & set(plan.streams)):
        durables = await api.names(f"CONSUMER.NAMES.{stream}", "consumers")
        for durable in durables:
            if (stream, durable) not in plan.consumers and not await _is_ephemeral(
                api, stream, durable
            ):
                found.append(Difference(stream, durable, "", None, None, Remedy.LEAVE))
    return found


async def apply(api: JetStreamApi, plan: Plan) -> list[Difference]:
    """Do what can be done without losing a message; returns what was done.

    Raises TopologyError, before anything is changed, when something else would have to be.
    """
    wanted = await differences(api, plan)
    refused = [difference for difference in wanted if difference.remedy is Remedy.REFUSE]
    if refused:
        raise TopologyError(refused)
    to_do = [difference for difference in wanted if difference.remedy is not Remedy.LEAVE]
    if to_do:
        async with api.administering() as changing:
            await _do(changing, plan, to_do)
    return to_do


async def _do(api: JetStreamApi, plan: Plan, to_do: Sequence[Difference]) -> None:
    for name in plan.streams:  # streams before their durables
        fields = [d for d in to_do if d.stream == name and d.durable is None]
        if any(d.remedy is Remedy.CREATE for d in fields):
            await api.create_stream(plan.streams[name])
        elif fields:
            changes = {d.field: d.wanted for d in fields}
            await api.update_stream({**await _stream_config(api, name), **changes})
    for (stream, durable), config in plan.consumers.items():
        remedies = {d.remedy for d in to_do if d.stream == stream and d.durable == durable}
        if Remedy.RECREATE in remedies:
            await api.delete_consumer(stream, durable)
        if remedies & {Remedy.CREATE, Remedy.RECREATE}:
            await api.put_consumer(stream, config, action="create")
        elif remedies:
            info = await api.consumer_info(stream, durable) or {}
            kept = section(info, "config")
            await api.put_consumer(stream, {**kept, **config}, action="update")


async def _stream_config(api: JetStreamApi, name: str) -> Json:
    return section(await api.stream_info(name) or {}, "config")


async def _is_ephemeral(api: JetStreamApi, stream: str, name: str) -> bool:
    """Peers' sources and one-off readers come and go; only durables are planned."""
    info = await api.consumer_info(stream, name)
    return info is None or not section(info, "config").get("durable_name")
