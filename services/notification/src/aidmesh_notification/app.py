"""The composition root of notification."""

from aidmesh_chassis import key_routes
from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import create_app
from aidmesh_chassis.keys import NOTIFICATION, KeyRing
from aidmesh_chassis.service import Health, Service, open_database
from aidmesh_chassis.upkeep import Sweep
from aidmesh_notification import api, consumers
from aidmesh_notification.channels import outlets_of
from aidmesh_notification.config import Settings
from aidmesh_notification.domain.hours import parse_hours
from aidmesh_notification.handlers import people, sweeping
from aidmesh_notification.sender import Sender
from aidmesh_notification.store import numbers
from aidmesh_notification.texts import load_templates

NAME = "notification"


def build(settings: Settings | None = None) -> Service:
    """Put the service together; nothing is opened yet.

    Raises:
        ValueError: settings are missing or do not fit.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir, [NOTIFICATION])
    database = open_database(NAME, settings)
    templates = load_templates(settings.organization)
    health = Health()
    outlets = outlets_of(settings)
    sender = Sender(
        database,
        lambda: keys.opener(NOTIFICATION),
        outlets,
        templates,
        batch_max=settings.send_batch_max,
        call_ms_max=settings.offer_ms_max + settings.send_ms_max,
        tries_max=settings.tries_max,
        retry_s=settings.retry_s,
        outage_s_max=settings.outage_s_max,
    )
    app = create_app(
        NAME,
        settings.region,
        verifier_of(keys, settings.region),
        checks=health.checks,
    )
    api.add_routes(app, database, templates, lambda: keys.public(NOTIFICATION), outlets.keys())
    key_routes.install(app, NAME, settings, keys)
    digest_from = parse_hours(settings.digest_from, "24:00").from_min
    return Service(
        name=NAME,
        settings=settings,
        measured=numbers.MEASURED,
        database=database,
        app=app,
        health=health,
        subscriptions=consumers.subscriptions(settings.message_hours_max),
        sweeps=(
            Sweep(
                "cut_short",
                5.0,
                sweeping.settle_cut_short(templates, lambda: sender.claims),
                limit=sweeping.SWEEP_ROWS_MAX,
            ),
            Sweep(
                "digests",
                60.0,
                sweeping.queue_digests(digest_from, settings.message_hours_max),
                limit=sweeping.SWEEP_ROWS_MAX,
            ),
            Sweep("posts", 3600.0, sweeping.forget_posts, limit=sweeping.SWEEP_ROWS_MAX),
            Sweep("erased_letters", 600.0, people.erase_letters),
        ),
        tasks={"sender": sender.run},
    )
