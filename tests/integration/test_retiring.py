"""What stands in the way of a region that wants to retire, and its name afterwards."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh import joining
from aidmesh.credentials import create_keys
from aidmesh.embedded.postgres import PostgresServer
from aidmesh.meshfile import WITH_DATABASE, MeshError, MeshFile, read_mesh, write_mesh
from aidmesh.preparing import prepare_mesh
from aidmesh.quiet import RegionProbe
from aidmesh.retiring import end_handoffs, gone_since, may_speak, not_heard, not_taken, take_out
from aidmesh.unsettled import open_in
from aidmesh_chassis.standings import Stand
from support.servers import DatabaseFactory

NOW = datetime(2024, 6, 1, tzinfo=UTC)
Databases = dict[str, asyncpg.Connection]
ALLOTMENT = """
    INSERT INTO allotment (id, grant_id, budget_line, grantor, currency, received_minor,
        returned_minor, held_minor, committed_minor, spent_minor)
    VALUES ($1, gen_random_uuid(), 'aid', 'kyiv', 'UAH',
"""
GIVEN = """
    INSERT INTO grant_allotment (id, grant_id, budget_line, holder, currency, amount_minor,
        granted_minor, returned_minor, rate, rate_on, rate_source)
    VALUES ($1, gen_random_uuid(), 'aid', 'kyiv', 'UAH', 100, 100, 0, '1', '2024-01-01', 'bank')
"""
PAYOUT = """
    INSERT INTO paying_order (id, region, state, grant_id, allotment_id, amount_minor, currency,
        mechanism, approver, bank_reference, settled_on, settler)
    VALUES ($1, 'kyiv', '{}', $1, $1, 5, 'UAH', 'cash', $1, 'b', '2024-01-01', $1)
"""
PAYOUT_OF_ODESA = PAYOUT.format("exported").replace("kyiv", "odesa")
PROPOSAL = """
    INSERT INTO rebalancing (id, grant_id, allotment_id, holder, to_region, amount_minor, currency,
        reason, lapses_at, state)
    VALUES ($1, $1, $1, 'lviv', '{}', 5, 'UAH', 'need', now(), '{}')
"""
TRANSFER = """
    INSERT INTO transfer (id, kind, allotment_id, from_region, to_region, amount_minor, currency,
        state) VALUES ($1, 'return', $1, '{}', '{}', 5, 'UAH', '{}')
"""
SHIPMENT = """
    INSERT INTO shipment (id, from_region, to_region, from_site_id, to_site_id, sent, state,
        version, dispatched_on)
    VALUES ($1, '{}', '{}', $1, $1, 'dispatched', '{}', 1, '2024-01-01')
"""
RETURN = TRANSFER.format("odesa", "kyiv", "in_transit")
STANDS = "INSERT INTO region_standing VALUES ($1, $2, 1, $3, 'odesa')"
ASKED = """
    INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area, reason,
        state, accepted, answered_at, asked_at)
    VALUES ($1, 'kyiv', 'odesa', 'soap', 1, $1, 'UA80', 'need', '{}', {}, now(), now())
"""
OFFER = """
    INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at, changed_at,
        staff_id)
    VALUES ($1, $1, '{}', '{}', now(), now(), now(), $1)
"""
OFFERED = """
    INSERT INTO referral_in (id, from_region, status, need_id, person_id, received_at, changed_at)
    VALUES ($1, '{}', '{}', $1, $1, now(), now())
"""
HANDOFF = """
    INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
        awaits_answer, status)
    VALUES ($1, '{}', 's', '{{}}', '', '', true, '{}')
"""
OUTBOX = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status)
    VALUES ($1, 'EVENTS', 's', '{}', '', '', 'pending')
"""


@pytest.fixture
async def books(database: DatabaseFactory, postgres: PostgresServer) -> AsyncIterator[Databases]:
    """A region's databases; rows stand alone in them."""
    opened = {}
    for service in WITH_DATABASE:
        name = urlsplit(await database(service)).path.strip("/")
        opened[service] = await asyncpg.connect(postgres.dsn(name))
        await opened[service].execute("SET session_replication_role = replica")
    yield opened
    for conn in opened.values():
        await conn.close()


async def test_everything_that_is_open_is_listed_where_it_is(books: Databases) -> None:
    assert await open_in("odesa", "odesa", books) == []
    for service, statement, line in (
        ("notification", OUTBOX, "1 events are not published"),
        ("intake", HANDOFF.format("kyiv", "waiting"), "1 handoffs are not answered by kyiv"),
        ("payments", TRANSFER.format("kyiv", "odesa", "in_transit"), "money is on its way"),
        ("payments", ALLOTMENT + "100, 0, 0, 0, 60)", "0 held, 0 committed and 40 not returned"),
        ("payments", ALLOTMENT + "100, 90, 3, 7, 0)", "3 held, 7 committed and 0 not returned"),
        ("payments", GIVEN, "is with kyiv, which has not spent or returned all"),
        ("payments", PAYOUT.format("exported"), "of kyiv is not paid"),
        ("payments", PROPOSAL.format("kyiv", "proposed"), "from lviv to kyiv is proposed"),
        ("inventory", SHIPMENT.format("odesa", "kyiv", "receiving"), "to kyiv is receiving"),
        ("inventory", ASKED.format("asked", "NULL"), "kyiv has not answered what odesa asks"),
        ("intake", OFFER.format("kyiv", "offered"), "a need is offered to kyiv"),
        ("intake", OFFERED.format("kyiv", "accepted"), "a need that kyiv offers is not decided"),
    ):
        transaction = books[service].transaction()
        await transaction.start()
        await books[service].execute(statement, uuid4())
        [found] = await open_in("odesa", "odesa", books)
        assert found.startswith(f"odesa.{service}: "), found
        assert line in found
        await transaction.rollback()


async def test_what_is_over_stands_in_nobodys_way(books: Databases) -> None:
    for service, statement in (
        ("intake", HANDOFF.format("kyiv", "withdrawn")),
        ("intake", HANDOFF.format("kyiv", "ended")),
        ("payments", TRANSFER.format("kyiv", "odesa", "received")),
        ("payments", ALLOTMENT + "100, 40, 0, 0, 60)"),
        ("payments", PAYOUT.format("settled")),
        ("payments", PROPOSAL.format("kyiv", "declined")),
        ("inventory", SHIPMENT.format("odesa", "kyiv", "received")),
        ("inventory", ASKED.format("accepted", "1")),
        ("intake", OFFER.format("kyiv", "lapsed")),
        ("intake", OFFERED.format("kyiv", "confirmed")),
    ):
        await books[service].execute(statement, uuid4())
    assert await open_in("odesa", "odesa", books) == []
    lent = uuid4()
    await books["payments"].execute(GIVEN, lent)
    await books["payments"].execute(
        """
        INSERT INTO allotment_elsewhere (allotment_id, grant_id, grantor, holder, currency,
            received_minor, returned_minor, held_minor, committed_minor, spent_minor, status,
            version, as_of)
        VALUES ($1, $1, 'odesa', 'kyiv', 'UAH', 100, 0, 0, 0, 100, 'active', 1, now())
        """,
        lent,
    )
    assert await open_in("odesa", "odesa", books) == []


async def test_what_waits_for_a_region_that_is_gone_stands_in_nobodys_way(
    books: Databases,
) -> None:
    """It waits for a return, as withdrawals of what that office was to pay do."""
    books_of = books["payments"]
    await books_of.execute(HANDOFF.format("kyiv", "waiting"), uuid4())
    assert len(await open_in("odesa", "odesa", books)) == 1
    for standing in ("lost", "retired"):
        await books_of.execute("DELETE FROM region_standing")
        await books_of.execute(
            "INSERT INTO region_standing VALUES ('kyiv', $1, 1, $2, 'odesa')", standing, NOW
        )
        assert await open_in("odesa", "odesa", books) == []
        # The region that retires is told all that its peers have for it, even after its last word.
        assert len(await open_in("kyiv", "odesa", books)) == 1


@pytest.mark.parametrize("standing", ["lost", "retired"])
async def test_goods_and_money_that_a_region_that_is_gone_has_to_see_to_stand_in_nobodys_way(
    books: Databases, standing: str
) -> None:
    money, goods = books["payments"], books["inventory"]
    for conn, statement, is_ours in (
        (money, RETURN, False),
        (money, TRANSFER.format("kyiv", "odesa", "in_transit"), False),
        (money, ALLOTMENT + "100, 0, 0, 0, 60)", False),  # nobody is there to give it back to
        (money, ALLOTMENT + "100, 0, 40, 0, 60)", True),
        (money, GIVEN, False),
        (goods, SHIPMENT.format("odesa", "kyiv", "dispatched"), False),
        (goods, SHIPMENT.format("odesa", "kyiv", "receiving"), False),
        (goods, SHIPMENT.format("kyiv", "odesa", "preparing"), False),
        (goods, SHIPMENT.format("odesa", "kyiv", "preparing"), True),  # it can be cancelled
        (goods, SHIPMENT.format("kyiv", "odesa", "dispatched"), True),  # it can be counted
    ):
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute(statement, uuid4())
        assert len(await open_in("odesa", "odesa", books)) == 1, statement
        # That a region has retired itself, as it is told in the end, makes no difference.
        await conn.execute(STANDS, "odesa", "retired", NOW)
        assert len(await open_in("odesa", "odesa", books)) == 1, statement
        await conn.execute(STANDS, "kyiv", standing, NOW)
        assert len(await open_in("odesa", "odesa", books)) == is_ours, statement
        await transaction.rollback()


@pytest.mark.parametrize("standing", ["lost", "retired"])
async def test_what_is_under_way_to_the_region_that_retires_is_waited_for_whatever_it_said(
    books: Databases, standing: str
) -> None:
    for conn, statement in (
        (books["payments"], RETURN),
        (books["inventory"], SHIPMENT.format("odesa", "kyiv", "dispatched")),
    ):
        await conn.execute(statement, uuid4())
        await conn.execute(STANDS, "kyiv", standing, NOW)
    assert len(await open_in("kyiv", "odesa", books)) == 2


async def test_of_a_peer_only_what_is_with_the_region_counts(books: Databases) -> None:
    for service, there, other in (
        ("intake", HANDOFF.format("odesa", "waiting"), HANDOFF.format("lviv", "waiting")),
        (
            "payments",
            TRANSFER.format("kyiv", "odesa", "in_transit"),
            TRANSFER.format("kyiv", "lviv", "in_transit"),
        ),
        ("payments", PROPOSAL.format("odesa", "proposed"), PROPOSAL.format("kyiv", "proposed")),
        (
            "inventory",
            SHIPMENT.format("odesa", "kyiv", "dispatched"),
            SHIPMENT.format("lviv", "kyiv", "dispatched"),
        ),
        ("intake", OFFER.format("odesa", "offered"), OFFER.format("lviv", "offered")),
        ("intake", OFFERED.format("odesa", "taken"), OFFERED.format("lviv", "taken")),
        ("payments", PAYOUT_OF_ODESA, ALLOTMENT + "100, 0, 0, 0, 60)"),
    ):
        for statement, lines in ((other, 0), (OUTBOX, 0), (there, 1)):
            transaction = books[service].transaction()
            await transaction.start()
            await books[service].execute(statement, uuid4())
            found = await open_in("odesa", "kyiv", books)
            assert len(found) == lines, (statement, found)
            await transaction.rollback()


async def test_peers_let_go_when_every_service_has_heard(books: Databases, tmp_path: Path) -> None:
    heard = [each for each in WITH_DATABASE if each != "notification"]
    assert len(await not_heard("odesa", "kyiv", books)) == len(heard)
    for service in heard:
        await books[service].execute(
            "INSERT INTO region_standing VALUES ('odesa', 'retired', 1, $1, 'odesa')", NOW
        )
    assert await not_heard("odesa", "kyiv", books) == []
    await books["reporting"].execute("UPDATE region_standing SET standing = 'lost'")
    assert await not_heard("odesa", "kyiv", books) == [
        "kyiv.reporting has not heard that odesa has retired"
    ]
    probe = RegionProbe("kyiv", _folder(tmp_path, "kyiv").regions["kyiv"], Client(), books)
    with pytest.raises(MeshError, match=r"kyiv.reporting has not heard"):
        await gone_since("odesa", [probe])
    await books["reporting"].execute("UPDATE region_standing SET standing = 'retired'")
    assert await gone_since("odesa", [probe]) == NOW
    with pytest.raises(MeshError, match=r"has not heard that odesa is held for lost"):
        await gone_since("odesa", [probe], "lost")
    for region in ("odesa", "lviv"):
        await books["intake"].execute(HANDOFF.format(region, "waiting"), uuid4())
    await end_handoffs("odesa", [probe])
    left = await books["intake"].fetch("SELECT to_region FROM handoff WHERE status = 'waiting'")
    assert [row["to_region"] for row in left] == ["lviv"]


def test_peers_have_to_have_all_that_it_told() -> None:
    assert not_taken("odesa", 5, {"kyiv": 5, "lviv": 6}) == []
    assert not_taken("odesa", 5, {"lviv": None, "kyiv": 4}) == [
        "kyiv has odesa's events up to #4 of #5",
        "lviv does not say what it has of odesa's events",
    ]


def test_a_region_that_is_held_for_lost_has_to_rejoin_first() -> None:
    assert may_speak("odesa", None, 1) == []
    assert may_speak("odesa", Stand("member", 2, NOW), 2) == []
    assert may_speak("odesa", Stand("retired", 1, NOW), 1) == []
    assert may_speak("odesa", Stand("lost", 1, NOW), 1)
    assert may_speak("odesa", Stand("member", 2, NOW), 1)


def test_the_name_of_a_retired_region_is_not_used_again(tmp_path: Path) -> None:
    mesh = _folder(tmp_path / "a", "kyiv", "odesa")
    asked = joining.ask(_folder(tmp_path / "b", "odesa"))
    entry = mesh.regions["odesa"]
    take_out(mesh, "odesa", NOW)
    write_mesh(tmp_path / "a", mesh)
    again = read_mesh(tmp_path / "a")
    assert again == mesh
    assert again.peers("kyiv") == []
    assert (again.retired["odesa"].since, again.retired["odesa"].entry) == (NOW, entry)
    both = {"kyiv": tmp_path, "odesa": tmp_path}
    for attempt in (
        lambda: joining.add_here(again, "odesa", None),
        lambda: joining.invite(again, asked, {"kyiv": "h"}),
        lambda: prepare_mesh(tmp_path / "a", tuple(both), both),
    ):
        with pytest.raises(MeshError, match="odesa has retired"):
            attempt()


def test_a_region_elsewhere_is_let_go_of(tmp_path: Path) -> None:
    mesh = _folder(tmp_path / "a", "kyiv")
    asked = joining.ask(_folder(tmp_path / "b", "odesa"))
    joining.invite(mesh, asked, {"kyiv": "h"})
    assert mesh.peers("kyiv") == ["odesa"]
    take_out(mesh, "odesa", NOW)
    assert (mesh.peers("kyiv"), mesh.retired["odesa"].entry) == ([], None)


def _folder(data: Path, *regions: str) -> MeshFile:
    data.mkdir(parents=True, exist_ok=True)
    keys = {region: data / "keys" / region for region in regions}
    for folder in keys.values():
        create_keys(folder)
    mesh, _ = prepare_mesh(data, regions, keys)
    return mesh
