"""What waits for another region says how the link to it is, as `aidmesh status` says it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from aidmesh.meshfile import (
    WITH_DATABASE,
    Elsewhere,
    MeshFile,
    NatsEntry,
    RegionEntry,
    ServiceEntry,
)
from aidmesh.status import status_of
from aidmesh.story.read import read_story
from aidmesh.story.told import Story
from support.regions_running import RunningRegion, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

KEEPER = ("logistician", "inventory")


async def mesh_of(region: RunningRegion, database: DatabaseFactory) -> MeshFile:
    """Its folder, where lviv is of another one; of what does not run there are the databases."""
    nats = region.nats
    ports = {name: service.settings.http_port for name, service in region.services.items()}
    dsns = {each: region.dsns.get(each) or await database(each) for each in WITH_DATABASE}
    entry = RegionEntry(
        keys=nats.keys,
        nats=NatsEntry(
            client_port=urlsplit(nats.url).port or 0,
            monitor_port=nats.server.monitor_port,
            leaf_port=1,
        ),
        services={
            each: ServiceEntry(http_port=ports.get(each) or 1, database_url=dsn)
            for each, dsn in dsns.items()
        },
    )
    return MeshFile(regions={nats.region: entry}, elsewhere={"lviv": Elsewhere()})


def links_in(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if "lviv is " in line]


async def test_a_shipment_whose_receiver_is_not_heard_says_since_when(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), ("inventory",)) as regions:
        kyiv, lviv = regions["kyiv"].staff, regions["lviv"].staff
        home, away = await kyiv.site("kyiv-1"), await lviv.site("lviv-1", "UA46")
        for staff in (kyiv, lviv):
            await staff.item("parcel")
        await kyiv.receive(home, "parcel", 20)

        async def offered() -> Any:
            free = await lviv.get(*KEEPER, "/stock/free", params={"item": "parcel"})
            return [row for row in free["rows"] if row["region"] == "kyiv" and row["as_of"]]

        await eventually(offered, 60)
        body = {"from_region": "kyiv", "item": "parcel", "quantity": 5, "to_site_id": str(away),
                "reason": "waiting_needs"}  # fmt: skip
        asked = (await lviv.post(*KEEPER, "/transfers", body))["transfer_id"]

        async def asks() -> Any:
            return (await kyiv.get(*KEEPER, "/transfers", params={"direction": "out"}))["rows"]

        await eventually(asks, 60)
        mesh = await mesh_of(regions["kyiv"], database)
        told = await read_story(mesh, UUID(asked))
        assert told.now[0].endswith("waits for an answer")
        await kyiv.post(*KEEPER, f"/transfers/{asked}:accept", {"quantity": 5})
        lot = (await kyiv.get(*KEEPER, "/lots"))["rows"][0]["lot_id"]
        order = {"transfer_id": asked, "lines": [{"lot_id": lot, "quantity": 5}]}
        sent = UUID((await kyiv.post(*KEEPER, "/shipments", order))["shipment_id"])
        await kyiv.post(*KEEPER, f"/shipments/{sent}:dispatch")

        async def counted_on() -> bool:
            story = await read_story(mesh, sent)
            assert story.now[0].endswith("waits until lviv has counted it")
            assert "; kyiv: lviv is up since " in story.todo[0]
            assert links_in(story.trouble) == []
            return ", last event #" in story.todo[0]

        await eventually(counted_on, 60)

        await regions.cut("lviv")

        async def dark() -> Story:
            story = await read_story(mesh, sent)
            assert links_in(story.trouble)
            return story

        found = cast("Story", await eventually(dark, 60))
        (line,) = links_in(found.trouble)
        assert line.startswith("kyiv: lviv is dark since 20")
        assert line in (await status_of(mesh)).attention
        assert f"; {line}, last event #" in found.todo[0]
