"""What somebody who has stolen a key can't do with it, tried on real servers."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from aidmesh.credentials import LINK, create_credentials, new_seed, publics_of
from aidmesh.meshfile import WITH_DATABASE
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER, link_permissions, service_permissions
from aidmesh_contracts.consumers import CONSUMERS
from support.regions import LinkedRegions, linked_regions
from support.servers import NatsRegion
from support.thief import RogueServer, Tries, answered, links_of, messages_in
from support.waiting import eventually

PUBLISH = (
    *("aid.kyiv.intake.x.v1", "local.kyiv.intake.x.v1", "private.kyiv.intake.x.v1"),
    *("handoff.lviv.kyiv.intake.x.v1", "beat.kyiv", "gate.kyiv"),
    *("$JS.API.CONSUMER.MSG.NEXT.LOCAL.intake-local", "$JS.API.CONSUMER.INFO.LOCAL.intake-local"),
)
NOT_PUBLISH = (
    # as another region, as another service, as another region's handoff
    *("aid.lviv.intake.x.v1", "local.lviv.intake.x.v1", "private.lviv.intake.x.v1"),
    *("aid.kyiv.payments.x.v1", "local.kyiv.inventory.x.v1", "private.kyiv.payments.x.v1"),
    *("handoff.lviv.kyiv.payments.x.v1", "handoff.lviv.odesa.intake.x.v1"),
    *("handoff.kyiv.lviv.intake.x.v1", "sync.lviv.kyiv.x", "sync.kyiv.lviv.x", "world.kyiv"),
    *("beat.lviv", "beat.kyiv.world", "gate.lviv", "_INBOX_payments.x", "_INBOX.x"),
    # streams
    *(
        f"$JS.API.STREAM.{verb}.LOCAL"
        for verb in ("DELETE", "PURGE", "UPDATE", "CREATE", "INFO", "MSG.GET", "MSG.DELETE")
    ),
    *("$JS.API.DIRECT.GET.LOCAL", "$JS.API.DIRECT.GET.PRIVATE.x", "$JS.API.STREAM.NAMES"),
    # consumers, and another's durable
    *("$JS.API.CONSUMER.CREATE.LOCAL", "$JS.API.CONSUMER.CREATE.LOCAL.intake-local"),
    *("$JS.API.CONSUMER.DURABLE.CREATE.LOCAL.x", "$JS.API.CONSUMER.DELETE.LOCAL.intake-local"),
    *("$JS.API.CONSUMER.MSG.NEXT.LOCAL.payments-local", "$JS.API.CONSUMER.LIST.LOCAL"),
    *("$JS.API.CONSUMER.INFO.LOCAL.payments-local", "$JS.ACK.LOCAL.payments-local.1.1.1.1.0"),
    *("$JS.lviv.API.CONSUMER.CREATE.EVENTS.x", "$JS.lviv.API.STREAM.INFO.EVENTS"),
    *("$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.x.KICK"),
)
NOT_LISTEN = (
    *(">", "local.kyiv.>", "private.>", "handoff.>", "gate.kyiv", "$JS.ACK.>", "sync.>", "$SYS.>"),
    *("_INBOX.>", "_INBOX_payments.>", "_INBOX_handoff_kyiv.>", "_INBOX_handoff_kyiv.payments.>"),
)


def covers(pattern: str, subject: str) -> bool:
    """Whether a permission's pattern lets a subject (or a narrower pattern) through."""
    tokens, wanted = pattern.split("."), subject.split(".")
    for index, token in enumerate(tokens):
        if token == ">":
            return len(wanted) > index
        if index >= len(wanted) or (token not in {"*", wanted[index]}):
            return False
    return len(tokens) == len(wanted)


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(WITH_DATABASE, 2)))
def test_no_right_of_a_service_covers_anything_of_another(one: str, other: str) -> None:
    publish, subscribe = service_permissions(one, "kyiv")
    theirs = [
        *(f"{kind}.kyiv.{other}.thing.changed.v1" for kind in ("aid", "local", "private")),
        f"handoff.lviv.kyiv.{other}.thing.changed.v1",
        *(
            subject
            for each in CONSUMERS
            if each.service == other
            for name in [f"{each.stream}.{each.durable}"]
            for subject in (
                f"$JS.API.CONSUMER.INFO.{name}",
                f"$JS.API.CONSUMER.MSG.NEXT.{name}",
                f"$JS.ACK.{name}.1.2.3.4.0",
                f"$JS.ACK.kyiv.account.{name}.1.2.3.4.0",
            )
        ),
    ]
    assert [each for each in theirs if any(covers(right, each) for right in publish)] == []
    assert not any(
        covers(right, f"{inbox}.x")
        for right in subscribe
        for inbox in (f"_INBOX_{other}", f"_INBOX_handoff_kyiv.{other}")
    )


async def test_a_service_s_key_speaks_for_that_service_alone(nats_region: NatsRegion) -> None:
    thief = Tries()
    await thief.connect(nats_region.url, nats_region.seed_file("intake"), "_INBOX_intake")
    before = await messages_in(nats_region)
    for subject in NOT_PUBLISH:
        await thief.publish(subject)
    for subject in NOT_LISTEN:
        await thief.listen(subject)
    await eventually(lambda: thief.said(NOT_PUBLISH) == [], 30)
    await eventually(lambda: thief.heard(NOT_LISTEN) == [], 30)
    assert await messages_in(nats_region) == before
    for subject in PUBLISH:
        await thief.publish(subject)
    await thief.listen("beat.*")
    assert thief.said(PUBLISH) == [*PUBLISH]
    assert thief.heard(["beat.*"]) == ["beat.*"]
    await thief.client.close()


async def test_the_reader_s_key_changes_nothing(nats_region: NatsRegion) -> None:
    reader = Tries()
    await reader.connect(nats_region.url, nats_region.seed_file(READER), "_INBOX")
    refused = [
        *("aid.kyiv.intake.x.v1", "local.kyiv.intake.x.v1", "handoff.lviv.kyiv.intake.x.v1"),
        *(f"$JS.API.STREAM.{verb}.LOCAL" for verb in ("DELETE", "PURGE", "UPDATE", "CREATE")),
        *("$JS.API.CONSUMER.CREATE.LOCAL", "$JS.API.CONSUMER.DURABLE.CREATE.LOCAL.x"),
        *("$JS.API.CONSUMER.DELETE.LOCAL.intake-local", "$JS.ACK.LOCAL.intake-local.1.1.1.1.0"),
    ]
    for subject in refused:
        await reader.publish(subject)
    await eventually(lambda: reader.said(refused) == [], 30)
    await reader.client.close()


async def test_a_key_that_was_never_given_out_opens_nothing(
    nats_region: NatsRegion, tmp_path: Path
) -> None:
    (tmp_path / "own.nk").write_text(new_seed())
    with pytest.raises(ConnectionError):
        await connect_as(nats_region.url, tmp_path / "own.nk")
    assert "authentication error" in (nats_region.folder / "nats.log").read_text()


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[LinkedRegions]:
    async with linked_regions(tmp_path, ("kyiv", "lviv", "odesa")) as linked:
        await links_of(linked.regions["kyiv"], {"lviv", "odesa"})
        yield linked


def test_a_link_has_these_rights_and_no_other() -> None:
    """Whatever is added here has to be argued for: peers are other people's machines."""
    into, out_of = link_permissions("kyiv", "lviv")

    assert into == [
        "$JS.kyiv.API.CONSUMER.CREATE.EVENTS.>",  # to source what kyiv says
        "$JS.kyiv.API.CONSUMER.CREATE.WORLD.>",  # to have its own events back after a restore
        "sync.kyiv.lviv.>",  # what kyiv sources of lviv is delivered there
        "handoff.kyiv.lviv.>",  # what lviv hands over to kyiv
        "_INBOX_handoff_kyiv.>",  # answers to what kyiv hands over
        "beat.lviv",  # that lviv lives
        "beat.lviv.world",  # how far lviv has taken kyiv's events
        "$JS.FC.>",  # flow control of sources
        "$JSC.R.>",  # answers to the creation of sources
    ]
    assert out_of == [
        "$JS.lviv.API.CONSUMER.CREATE.EVENTS.>",
        "$JS.lviv.API.CONSUMER.CREATE.WORLD.>",
        "sync.lviv.kyiv.>",
        "handoff.lviv.kyiv.>",
        "_INBOX_handoff_lviv.>",
        "beat.kyiv",
        "beat.kyiv.world",
        "$JS.FC.>",
        "$JSC.R.>",
    ]


def closed_api(region: str) -> list[str]:
    """What a peer's link may not ask the JetStream of a region."""
    api = f"$JS.{region}.API"
    return [
        *(f"{api}.STREAM.{verb}.LOCAL" for verb in ("INFO", "MSG.GET", "DELETE", "PURGE")),
        *(f"{api}.STREAM.{verb}.EVENTS" for verb in ("MSG.GET", "DELETE", "PURGE")),
        *(f"{api}.DIRECT.GET.{name}" for name in ("LOCAL", "PRIVATE", "HANDOFF")),
        *(f"{api}.CONSUMER.CREATE.{name}" for name in ("LOCAL", "PRIVATE", "HANDOFF")),
        *(f"{api}.CONSUMER.CREATE.{name}.x" for name in ("LOCAL", "PRIVATE", "HANDOFF")),
        *(f"{api}.CONSUMER.DURABLE.CREATE.{name}.x" for name in ("LOCAL", "EVENTS")),
        *(f"{api}.CONSUMER.{verb}.LOCAL.intake-local" for verb in ("MSG.NEXT", "DELETE", "INFO")),
        *(f"{api}.INFO", "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING", f"gate.{region}"),
        *(f"{kind}.{region}.intake.x.v1" for kind in ("aid", "local", "private")),
        *(f"handoff.{region}.odesa.intake.x.v1", f"handoff.{region}.{region}.intake.x.v1"),
        *("aid.odesa.intake.x.v1", f"sync.{region}.odesa.x", f"world.{region}"),
    ]


def closed_subjects(region: str) -> list[str]:
    """What a region says that a peer's link does not carry (its EVENTS any peer may read)."""
    return [
        *(f"{kind}.{region}.intake.x.v1" for kind in ("local", "private")),
        *(f"handoff.{region}.odesa.intake.x.v1", f"handoff.odesa.{region}.intake.x.v1"),
        *("_INBOX_intake.x", "_INBOX.x", "$JS.EVENT.ADVISORY.x", f"gate.{region}"),
        *("$JS.ACK.LOCAL.intake-local.1.1.1.1.0", f"sync.{region}.odesa.x"),
    ]


async def heard_by(thief: Client, region: NatsRegion) -> set[str]:
    """What somebody behind a link hears of what the region says, who listens to everything."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    name = region.region
    for subject in (
        *(">", f"*.{name}.>", "local.>", "_INBOX.>", "_INBOX_intake.>", "$JS.>", "handoff.>"),
        *("beat.*", f"gate.{name}"),
    ):
        await thief.subscribe(subject, cb=hear)
    await thief.flush()
    await eventually(lambda: answered(thief, handoff_to(name)), 30)  # the link knows of it
    admin = await region.admin()
    for subject in closed_subjects(name):
        await admin.publish(subject, b"{}")
    await admin.publish(f"beat.{name}", b"{}")  # what a peer may hear comes last
    await eventually(lambda: f"beat.{name}" in heard, 30)
    await admin.close()
    return {each for each in heard if not each.startswith(("beat.", "_INBOX_handoff_", "sync."))}


async def cannot_acknowledge(thief: Client, region: NatsRegion) -> None:
    """What a service has taken and not done stays its own, though its answer can be guessed."""
    name = region.region
    consumer = next(each for each in CONSUMERS if each.durable == "intake-local")
    subject = consumer.filter_subjects(name)[0]
    admin = await region.admin()
    await admin.jetstream().publish(subject, b"{}")
    pulled = await admin.jetstream().pull_subscribe_bind("intake-local", "LOCAL")
    (taken,) = await pulled.fetch(1, timeout=60)
    await thief.publish(taken.reply, b"+TERM")
    await thief.flush()
    assert await answered(thief, handoff_to(name))  # comes after it, over the same link

    async def pending() -> int:
        info = await admin.jsm().consumer_info("LOCAL", "intake-local")
        return info.num_ack_pending or 0

    assert await pending() == 1
    await admin.publish(taken.reply, b"+TERM")  # from within the region it would be taken
    await eventually(lambda: is_zero(pending), 30)
    await admin.close()


async def is_zero(count: Callable[[], Awaitable[int]]) -> bool:
    return await count() == 0


def handoff_to(region: str) -> str:
    """What the thief may say: he speaks for the region he robbed."""
    return f"handoff.{region}.{ROBBED[region]}.intake.x.v1"


ROBBED = {"kyiv": "lviv", "lviv": "kyiv"}


async def test_a_stolen_link_key_reads_nothing_closed_and_poses_as_nobody_else(
    mesh: LinkedRegions, tmp_path: Path
) -> None:
    """Lviv's keys of its link were stolen; the thief dials Kyiv with them, as Lviv does."""
    kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
    address = f"127.0.0.1:{mesh.cable('kyiv', 'lviv').target_port}"
    async with RogueServer(tmp_path / "rogue", lviv.keys, dial=address).running("lviv") as thief:
        await links_of(kyiv, {"lviv", "odesa", "rogue"})
        await eventually(lambda: answered(thief, handoff_to("kyiv")), 30)
        before = await messages_in(kyiv)
        assert [each for each in closed_api("kyiv") if await answered(thief, each)] == []
        assert await answered(thief, handoff_to("kyiv"))  # so the rest was refused for cause
        after = await messages_in(kyiv)
        assert after == {**before, "HANDOFF": (before["HANDOFF"][0] + 1, before["HANDOFF"][1])}
        assert await heard_by(thief, kyiv) == set()
        await cannot_acknowledge(thief, kyiv)


async def test_who_poses_as_a_region_that_is_dialed_gets_no_further(
    mesh: LinkedRegions, tmp_path: Path
) -> None:
    """Kyiv's keys were stolen and its address taken over: Lviv dials the thief."""
    kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
    await kyiv.close()
    rogue = RogueServer(
        tmp_path / "rogue",
        kyiv.keys,
        port=mesh.cable("kyiv", "lviv").target_port,
        expected=[*publics_of(lviv.keys, LINK), *publics_of(mesh.regions["odesa"].keys, LINK)],
    )
    async with rogue.running("kyiv") as thief:
        await links_of(lviv, {"rogue", "odesa"})
        await eventually(lambda: answered(thief, handoff_to("lviv")), 30)
        before = await messages_in(lviv)
        silent = [*closed_api("lviv"), "$JS.lviv.API.CONSUMER.CREATE.EVENTS"]
        assert [each for each in silent if await answered(thief, each)] == []
        assert await answered(thief, handoff_to("lviv"))
        after = await messages_in(lviv)
        assert after == {**before, "HANDOFF": (before["HANDOFF"][0] + 1, before["HANDOFF"][1])}
        assert await heard_by(thief, lviv) == set()
        await cannot_acknowledge(thief, lviv)


async def test_a_link_needs_both_the_certificate_and_the_key(
    mesh: LinkedRegions, tmp_path: Path
) -> None:
    kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
    own = tmp_path / "own" / "lviv"
    create_credentials(own)
    port = mesh.cable("kyiv", "lviv").target_port
    address = f"127.0.0.1:{port}"
    only_key = RogueServer(tmp_path / "key", lviv.keys, dial=address, certificates=own)
    only_certificate = RogueServer(tmp_path / "tls", lviv.keys, dial=address, seed=new_seed())
    for rogue, refusal in (
        (only_key, "tls leafnode handshake error"),
        (only_certificate, "authentication error"),
    ):

        def refused(refusal: str = refusal) -> bool:
            return refusal in (kyiv.folder / "nats.log").read_text().lower()

        async with rogue.running("lviv"):
            await eventually(refused, 30)
            assert "rogue" not in kyiv.warden.watcher.linked
    # And the other way round: a listener with a certificate of nobody is not spoken to.
    await kyiv.close()
    rogue = RogueServer(
        tmp_path / "listener",
        kyiv.keys,
        port=port,
        expected=publics_of(lviv.keys, LINK),
        certificates=own,
    )
    async with rogue.running("kyiv"):
        log = lviv.folder / "nats.log"
        await eventually(lambda: "unknown authority" in log.read_text(), 30)
        assert "rogue" not in lviv.warden.watcher.linked
