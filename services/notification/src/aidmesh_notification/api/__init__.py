"""HTTP in, handlers out: thin."""

from collections.abc import Callable, Collection

from fastapi import FastAPI

from aidmesh_chassis.crypto import PublicKey
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import take
from aidmesh_notification.api import messages, subscriptions, templates
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.texts import Templates


def add_routes(
    app: FastAPI,
    database: Database,
    texts: Templates,
    card_key: Callable[[], PublicKey],
    channels: Collection[Channel],
) -> None:
    """Add every route of notification; the arguments as in the routers."""
    take(app, messages.router(database))
    take(app, templates.router(database, texts, channels))
    take(app, subscriptions.router(database, card_key))
