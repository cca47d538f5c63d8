"""The composition root of reporting."""

from functools import partial

from aidmesh_chassis import conflict_routes, standings
from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import create_app, take
from aidmesh_chassis.keys import KeyRing
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Health, Service, open_database
from aidmesh_chassis.upkeep import Sweep
from aidmesh_reporting import api, consumers
from aidmesh_reporting.config import Settings
from aidmesh_reporting.handlers.linking import TOLD_MAX, tell
from aidmesh_reporting.handlers.publishing import MONTHS_MAX, publish

NAME = "reporting"


def build(settings: Settings | None = None) -> Service:
    """Put the service together; nothing is opened yet.

    Raises:
        ValueError: settings are missing or do not fit.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir)
    database = open_database(NAME, settings)
    peers = Peers(settings.region)
    health = Health()
    app = create_app(
        NAME,
        settings.region,
        verifier_of(keys, settings.region),
        checks=health.checks,
    )
    api.add_routes(app, database, settings.region, settings.small_cell_k, peers)
    take(app, conflict_routes.router(database))
    return Service(
        name=NAME,
        settings=settings,
        database=database,
        app=app,
        health=health,
        peers=peers,
        subscriptions=consumers.subscriptions(),
        sweeps=(
            Sweep(
                "publish",
                settings.publish_s,
                partial(publish, rest_s=settings.publish_s),
                limit=MONTHS_MAX,
            ),
            Sweep("links", settings.publish_s, tell, limit=TOLD_MAX),
            Sweep("told_again", 2.0, partial(standings.tell_again, but=())),
        ),
    )
