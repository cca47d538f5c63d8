"""The composition root of inventory."""

from functools import partial

from aidmesh_chassis import conflict_routes, key_routes, peer_keys, standings
from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import create_app, take
from aidmesh_chassis.keys import INVENTORY, MASTER, KeyRing
from aidmesh_chassis.peer_keys import SIGN
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Health, Service, open_database
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.inventory import KeyChangedV1
from aidmesh_inventory import consumers
from aidmesh_inventory.api import add_routes
from aidmesh_inventory.config import Settings
from aidmesh_inventory.handlers import capacity, changes, grants, sweeps
from aidmesh_inventory.handlers.proposing import RULE_ASKS_MAX, ask_by_rule
from aidmesh_inventory.store import numbers

NAME = "inventory"


def build(settings: Settings | None = None) -> Service:
    """Put the service together; nothing is opened yet.

    Raises:
        ValueError: settings are missing or do not fit.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir, [MASTER, INVENTORY])
    database = open_database(NAME, settings)
    peers = Peers(settings.region)
    health = Health()
    app = create_app(
        NAME,
        settings.region,
        verifier_of(keys, settings.region),
        checks=health.checks,
    )
    add_routes(app, database, settings.region, keys, peers.link)
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
        subscriptions=consumers.subscriptions(settings.region),
        sweeps=(
            Sweep("expired_holds", 1.0, sweeps.expire_holds, limit=sweeps.LIMIT),
            Sweep("withdrawn_holds", 10.0, sweeps.release_withdrawn, limit=sweeps.LIMIT),
            Sweep(
                "not_collected",
                10.0,
                sweeps.take_back_uncollected,
                limit=sweeps.LIMIT,
                when_abreast=True,
            ),
            Sweep("no_shows", 10.0, sweeps.release_no_shows, limit=sweeps.LIMIT, when_abreast=True),
            Sweep("check_outs", 60.0, sweeps.check_out_overdue, limit=sweeps.LIMIT),
            Sweep("begun_periods", 60.0, sweeps.begin_periods, limit=sweeps.LIMIT),
            Sweep("expired_lots", 60.0, sweeps.expire_lots, limit=sweeps.LIMIT),
            Sweep("grant_terms", 5.0, grants.renew_terms, limit=grants.LOTS_MAX),
            Sweep(
                "asks_by_rule",
                5.0,
                partial(ask_by_rule, settings.region, peers.link),
                limit=RULE_ASKS_MAX,
            ),
            Sweep("told_stock", 1.0, changes.tell_stock, limit=changes.TOLD_MAX),
            Sweep("told_capacity", 1.0, capacity.tell_capacity, limit=capacity.TOLD_MAX),
            Sweep("capacity_day", 60.0, capacity.new_day, limit=capacity.REFRESHED_MAX),
            Sweep("slots_of_a_day", 60.0, sweeps.tell_slots, limit=sweeps.LIMIT),
            Sweep(
                "own_keys",
                10.0,
                partial(peer_keys.tell, KeyChangedV1, lambda: {SIGN: keys.public(INVENTORY).raw}),
            ),
            Sweep("told_again", 2.0, partial(standings.tell_again, but=())),
        ),
    )
