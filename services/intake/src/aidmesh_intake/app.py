"""The only composition root of intake: settings → keys, database, API, consumers, sweeps."""

import asyncio
from functools import partial

from aidmesh_chassis import conflict_routes, key_routes, peer_keys, standings
from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.erasures import Journal
from aidmesh_chassis.http import create_app, take
from aidmesh_chassis.keys import INTAKE, MASTER, KeyRing
from aidmesh_chassis.peer_keys import SEAL
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Health, Service, open_database
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.intake import KeyChangedV1
from aidmesh_intake.api import routers
from aidmesh_intake.api.context import IMPORTS_AT_ONCE, Context
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.config import Settings
from aidmesh_intake.consumers import subscriptions
from aidmesh_intake.handlers import taking
from aidmesh_intake.handlers.elsewhere import RULE_OFFERS_MAX, offer_by_rule
from aidmesh_intake.handlers.sweeping import SWEEPS, lookup_sweeps
from aidmesh_intake.store import numbers
from aidmesh_intake.store.catalogue import Catalogue
from aidmesh_intake.vault import Vault


def build(settings: Settings | None = None) -> Service:
    """Put the service together; settings come from the environment unless given."""
    chosen = settings or Settings()
    database = open_database("intake", chosen)
    ring = KeyRing(chosen.keys_dir, (MASTER, INTAKE))
    health = Health()
    peers = Peers(chosen.region)
    app = create_app(
        "intake",
        chosen.region,
        verifier_of(ring, chosen.region),
        checks=health.checks,
    )
    vault = Vault(ring)
    journal = Journal(chosen.erasures_file)
    app.state.context = Context(
        chosen.region,
        database,
        vault,
        Catalogue(packaged()),
        # One connection at least has to be left for the work of those that have a turn.
        asyncio.Semaphore(min(IMPORTS_AT_ONCE, chosen.pool_max - 1)),
        peers.link,
        chosen.lookups_day_max,
        journal,
    )
    for router in (*routers(), conflict_routes.router(database)):
        take(app, router)
    key_routes.install(app, ring)
    return Service(
        measured=numbers.MEASURED,
        name="intake",
        settings=chosen,
        database=database,
        app=app,
        health=health,
        peers=peers,
        subscriptions=subscriptions(),
        sweeps=(
            *SWEEPS,
            *lookup_sweeps(
                vault, chosen.region, chosen.lookups_day_max, chosen.lookups_all_day_max
            ),
            Sweep("ended_referrals", 2.0, partial(taking.clear, journal), limit=taking.CLEARED_MAX),
            Sweep(
                "offers_by_rule",
                5.0,
                partial(offer_by_rule, vault, peers.link),
                limit=RULE_OFFERS_MAX,
            ),
            Sweep(
                "own_keys",
                10.0,
                partial(peer_keys.tell, KeyChangedV1, lambda: {SEAL: ring.public(INTAKE).raw}),
            ),
            Sweep("told_again", 2.0, partial(standings.tell_again, but=())),
        ),
    )
