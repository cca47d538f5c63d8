"""The composition root of intake."""

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
from aidmesh_intake.api import add_routes
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

NAME = "intake"


def build(settings: Settings | None = None) -> Service:
    """Put the service together; nothing is opened yet.

    Raises:
        ValueError: settings are missing or do not fit.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir, [MASTER, INTAKE])
    database = open_database(NAME, settings)
    peers = Peers(settings.region)
    health = Health()
    app = create_app(
        NAME,
        settings.region,
        verifier_of(keys, settings.region),
        checks=health.checks,
    )
    vault = Vault(keys)
    journal = Journal(settings.erasures_file)
    add_routes(
        app,
        Context(
            settings.region,
            database,
            vault,
            Catalogue(packaged()),
            # One connection at least has to be left for the work of those that have a turn.
            asyncio.Semaphore(min(IMPORTS_AT_ONCE, settings.pool_max - 1)),
            peers.link,
            settings.lookups_day_max,
            journal,
        ),
    )
    take(app, conflict_routes.router(database))
    key_routes.install(app, NAME, settings, keys)
    return Service(
        name=NAME,
        settings=settings,
        measured=numbers.MEASURED,
        database=database,
        app=app,
        health=health,
        peers=peers,
        subscriptions=subscriptions(),
        sweeps=(
            *SWEEPS,
            *lookup_sweeps(
                vault, settings.region, settings.lookups_day_max, settings.lookups_all_day_max
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
                partial(peer_keys.tell, KeyChangedV1, lambda: {SEAL: keys.public(INTAKE).raw}),
            ),
            Sweep("told_again", 2.0, partial(standings.tell_again, but=())),
        ),
    )
