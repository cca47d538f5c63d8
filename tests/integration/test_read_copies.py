"""Whatever a region has of another one is compared with what that one has: each column of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh.chaos.copies import COPIES, differing_copies
from aidmesh.meshfile import WITH_DATABASE, RegionEntry
from aidmesh.quiet import RegionProbe
from aidmesh_contracts.reporting import MonthlyResultsV1, ResultLine
from aidmesh_reporting.handlers.publishing import content_hash
from aidmesh_reporting.store.kept import payload_of
from support.servers import DatabaseFactory

IDS = {
    f"<{name}>": f"00000000-0000-4000-8000-{number:012}"
    for number, name in enumerate(("site", "grant", "allotment", "donor"), start=1)
}
RESULTS = MonthlyResultsV1(
    month="2024-05",
    people=7,
    services=9,
    contacts=0,
    year_people=7,
    lines=(ResultLine(area="UA80", kind="food_parcel", grant_id=None, people=7, services=9,
                      contacts=0, quantity=9, unit="piece", sensitive=False),),
    version=2,
    as_of=datetime(2024, 6, 1, tzinfo=UTC),
)  # fmt: skip

OWN = (
    ("inventory", """
     INSERT INTO site (id, code, name, area, iso_code, site_type, version)
     VALUES ('<site>', 'center', 'center', 'UA80', 'UA-30', 'center', 3);
     INSERT INTO stock_state (site_id, item, on_hand, free, version)
     VALUES ('<site>', 'parcel', 5, 4, 2);
     INSERT INTO capacity_state (site_id, resource, code, version, told_on, told_by_day,
                                 told_total)
     VALUES ('<site>', 'bed', 'shelter', 4, '2024-05-01', '{2,1}', 3)"""),
    ("payments", """
     INSERT INTO donor (id, name) VALUES ('<donor>', 'Donor');
     INSERT INTO grant_terms (grant_id, grantor, code, donor, currency, restriction,
                              paying_office, terms_version, status)
     VALUES ('<grant>', 'kyiv', 'g1', 'Donor', 'UAH', '{"areas": ["UA80"]}', 'kyiv', 2,
             'active');
     INSERT INTO donor_grant (id, donor_id, code, currency, amount_minor, period_from, period_to,
                              overhead_bp, status, received_minor, unallotted_minor,
                              version, recorded_by)
     VALUES ('<grant>', '<donor>', 'g1', 'UAH', 900, '2024-01-01', '2024-12-31', 0, 'active',
             500, 500, 6, '<donor>');
     INSERT INTO allotment (id, grant_id, budget_line, grantor, currency, received_minor,
                            spent_minor, version)
     VALUES ('<allotment>', '<grant>', 'aid', 'kyiv', 'UAH', 300, 20, 5);
     INSERT INTO wait (region, programme, currency, amount_minor, chosen_minor, epoch, version,
                       as_of)
     VALUES ('kyiv', 'cash', 'UAH', 70, 10, 1, 3, now())"""),
    ("intake", "INSERT INTO own_key (purpose, version, public) VALUES ('seal', 2, '\\x01')"),
)  # fmt: skip
COPIED = (
    ("inventory", """
     INSERT INTO world_site VALUES ('kyiv', '<site>', 'UA80', 'center', 'open', 1, 3, now());
     INSERT INTO world_stock VALUES ('kyiv', '<site>', 'parcel', 'UA80', 5, 4, 1, 2, now());
     INSERT INTO world_capacity VALUES ('kyiv', '<site>', 'bed', 'shelter', 'UA80', '2024-05-01',
                                        '{2,1}', 3, 1, 4, now())"""),
    ("intake", """
     INSERT INTO place_elsewhere VALUES ('kyiv', '<site>', 'bed', 'shelter', 'UA80',
                                         '2024-05-01', '{2,1}', 1, 4, now());
     INSERT INTO site_elsewhere VALUES ('kyiv', '<site>', 'open', 1, 3);
     INSERT INTO peer_key (region, purpose, version, public) VALUES ('kyiv', 'seal', 2, '\\x01')
     """),
    ("payments", """
     INSERT INTO grant_terms (grant_id, grantor, code, donor, currency, restriction,
                              paying_office, terms_version, status, state_version, amount_minor,
                              received_minor)
     VALUES ('<grant>', 'kyiv', 'g1', 'Donor', 'UAH', '{"areas": ["UA80"]}', 'kyiv', 2,
             'active', 6, 900, 500);
     INSERT INTO allotment_elsewhere (allotment_id, grant_id, grantor, holder, currency,
                                      received_minor, returned_minor, held_minor,
                                      committed_minor, spent_minor, status, version, as_of)
     VALUES ('<allotment>', '<grant>', 'kyiv', 'kyiv', 'UAH', 300, 0, 0, 0, 20, 'active', 5,
             now());
     INSERT INTO wait (region, programme, currency, amount_minor, chosen_minor, epoch, version,
                       as_of)
     VALUES ('kyiv', 'cash', 'UAH', 70, 10, 1, 3, now())"""),
    ("reporting", """
     INSERT INTO grant_name VALUES ('<grant>', 'kyiv', 'g1', 'Donor', 'UAH', 'active', 6)"""),
)  # fmt: skip
CHANGES = (
    ("sites", "inventory", "UPDATE world_site SET status = 'closed'"),
    ("sites", "inventory", "UPDATE world_site SET version = 2"),
    ("free stock", "inventory", "UPDATE world_stock SET free = 5"),
    ("free places", "inventory", "UPDATE world_capacity SET free_by_day = '{2,2}'"),
    ("places to refer to", "intake", "UPDATE place_elsewhere SET free_by_day = '{2,2}'"),
    ("places to refer to", "intake", "UPDATE place_elsewhere SET area = 'UA46'"),
    ("places to refer to", "intake", "UPDATE place_elsewhere SET version = 3"),
    ("places to refer to", "intake", "DELETE FROM place_elsewhere"),
    ("sites to refer to", "intake", "UPDATE site_elsewhere SET status = 'closed'"),
    ("sites to refer to", "intake", "DELETE FROM site_elsewhere"),
    ("grants", "payments", "UPDATE grant_terms SET terms_version = 1"),
    ("grants", "payments", "UPDATE grant_terms SET restriction = '{}'"),
    ("grants", "payments", "UPDATE grant_terms SET paying_office = 'lviv'"),
    ("grants", "payments", "UPDATE grant_terms SET received_minor = 499"),
    ("names of grants", "reporting", "UPDATE grant_name SET status = 'closed'"),
    ("allotments", "payments", "UPDATE allotment_elsewhere SET spent_minor = 19"),
    ("waits for money", "payments", "UPDATE wait SET chosen_minor = 9"),
    ("months", "reporting", "UPDATE world_month SET payload = $1"),
    ("months", "reporting", "UPDATE world_month SET version = 1"),
    ("keys of intake", "intake", "UPDATE peer_key SET version = 1"),
)


def with_ids(sql: str) -> str:
    for name, identity in IDS.items():
        sql = sql.replace(name, identity)
    return sql


@pytest.fixture
async def regions(database: DatabaseFactory) -> AsyncIterator[list[RegionProbe]]:
    """Kyiv with a little of everything, and lviv, which has heard it all."""
    probes = []
    for name in ("kyiv", "lviv"):
        connections = {each: await asyncpg.connect(await database(each)) for each in WITH_DATABASE}
        # Only the databases are looked at.
        entry, client = cast("RegionEntry", None), cast("Client", None)
        probes.append(RegionProbe(name, entry, client, connections))
    kyiv, lviv = probes
    for service, sql in OWN:
        await kyiv.connections[service].execute(with_ids(sql))
    for service, sql in COPIED:
        await lviv.connections[service].execute(with_ids(sql))
    await kyiv.connections["reporting"].execute(
        "INSERT INTO published_month VALUES ($1, $2, $3, now())",
        RESULTS.month, RESULTS.version, content_hash(RESULTS),
    )  # fmt: skip
    await lviv.connections["reporting"].execute(
        "INSERT INTO world_month VALUES ('kyiv', $1, $2, now(), $3)",
        RESULTS.month, RESULTS.version, payload_of(RESULTS),
    )  # fmt: skip
    yield probes
    for probe in probes:
        for conn in probe.connections.values():
            await conn.close()


async def differing(probes: list[RegionProbe]) -> set[tuple[str, str]]:
    return {
        (each.region, each.what.partition(" of kyiv:")[0])
        async for each in differing_copies(probes)
    }


async def test_each_part_of_a_copy_is_compared(regions: list[RegionProbe]) -> None:
    assert await differing(regions) == set()
    assert {name for name, _, _ in CHANGES} >= {
        copy.name for copy in COPIES if copy.name not in {"keys of inventory", "keys of payments"}
    }
    other = RESULTS.model_copy(update={"people": 8})
    for name, service, sql in CHANGES:
        conn = regions[1].connections[service]
        change = conn.transaction()
        await change.start()
        await conn.execute(sql, *([payload_of(other)] if "$1" in sql else []))
        assert await differing(regions) == {("lviv", name)}, sql
        await change.rollback()
