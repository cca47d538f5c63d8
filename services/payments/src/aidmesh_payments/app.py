"""The composition root of payments."""

from functools import partial

from aidmesh_chassis import conflict_routes, key_routes, peer_keys
from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import create_app, take
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.peer_keys import SEAL
from aidmesh_chassis.peers import Peers
from aidmesh_chassis.service import Health, Service, open_database
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.payments import KeyChangedV1
from aidmesh_payments.api import add_routes
from aidmesh_payments.api.desk import Desk
from aidmesh_payments.config import Settings
from aidmesh_payments.consumers import subscriptions
from aidmesh_payments.handlers import (
    assigning,
    book,
    lost,
    orders,
    rebalancing,
    return_asks,
    sweeps,
    waits,
)
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import numbers

NAME = "payments"


def build(settings: Settings | None = None) -> Service:
    """Put the service together; nothing is opened yet.

    Raises:
        ValueError: settings are missing or do not fit.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir, [PAYMENTS])
    database = open_database(NAME, settings)
    peers = Peers(settings.region)
    health = Health()
    app = create_app(
        NAME,
        settings.region,
        verifier_of(keys, settings.region),
        checks=health.checks,
    )
    office = Office(settings.region, dict(settings.float_limits_minor), lambda: peers.regions)
    add_routes(app, Desk(office, database, keys, settings.payment_purpose, peers.link))
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
        subscriptions=subscriptions(office),
        sweeps=(
            Sweep("expired_holds", 1.0, partial(sweeps.expire_holds, office), sweeps.LIMIT),
            Sweep(
                "uncollected_cash",
                30.0,
                partial(sweeps.expire_collections, office),
                sweeps.LIMIT,
                when_abreast=True,
            ),
            Sweep("told_allotments", 1.0, partial(book.tell_allotments, office), book.TOLD_MAX),
            Sweep("begun_grants", 60.0, partial(sweeps.begin_periods, office)),
            Sweep("ended_allotments", 60.0, partial(sweeps.end_validity, office), sweeps.LIMIT),
            Sweep(
                "signed_rebalancings",
                1.0,
                partial(rebalancing.pass_on, office),
                rebalancing.LIMIT,
            ),
            Sweep("told_waits", 1.0, partial(waits.tell, office), waits.TOLD_MAX),
            Sweep(
                "waits_by_rule",
                2.0,
                partial(waits.serve_by_rule, office, peers.link),
                waits.MOVES_MAX,
            ),
            Sweep("lapsed_asks", 30.0, partial(return_asks.lapse, office), return_asks.LIMIT),
            Sweep("overdue_reviews", 60.0, sweeps.mark_reviews, sweeps.LIMIT),
            Sweep("erased_payees", 60.0, sweeps.forget_payees, sweeps.LIMIT),
            Sweep(
                "own_keys",
                10.0,
                partial(peer_keys.tell, KeyChangedV1, lambda: {SEAL: keys.public(PAYMENTS).raw}),
            ),
            Sweep(
                "assigned_payouts",
                1.0,
                partial(assigning.assign, office, keys, settings.payment_purpose),
                assigning.LIMIT,
            ),
            Sweep("unread_orders", 1.0, partial(orders.read_boxes, office, keys), orders.LIMIT),
            Sweep("paid_orders", 600.0, orders.forget, orders.LIMIT),
            Sweep("told_again", 2.0, partial(lost.tell_again, office)),
        ),
    )
