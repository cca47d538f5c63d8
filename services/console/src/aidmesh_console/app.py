"""The composition root of the desk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.authorities import vouching
from aidmesh_chassis.http import create_app, take
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_chassis.service import Health, Service
from aidmesh_chassis.staff import StaffFile
from aidmesh_console.config import Settings
from aidmesh_console.guest import Desk
from aidmesh_console.headers import CarefulHeaders
from aidmesh_console.pages import (
    alerts,
    assets,
    beds,
    between,
    bills,
    entrance,
    failures,
    grants,
    hand_over,
    home,
    importing,
    items,
    kinds,
    links,
    lots,
    money,
    needs,
    orders,
    people,
    pledging,
    purchases,
    questions,
    referrals,
    register,
    results,
    rules,
    shipments,
    sites,
    slots,
    standings,
    stock,
    unproven,
    waits,
)
from aidmesh_console.served import static_files
from aidmesh_console.session import Sessions

NAME = "console"
STAFF_FILE = "staff.jsonl"


def build(
    settings: Settings | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> Service:
    """Put the desk together; nothing is opened yet.

    Args:
        transport: how the other services are reached; over the network when not given.

    Raises:
        ValueError: settings are missing or do not fit.
        KeyFileError: the region's key for verifying tokens is not there.
    """
    settings = settings or Settings()
    keys = KeyRing(settings.keys_dir, [TOKENS])
    verifier = verifier_of(keys, settings.region)
    staff = StaffFile(settings.keys_dir / STAFF_FILE)
    http = httpx.AsyncClient(
        transport=transport,
        verify=vouching(settings.service_urls),
        timeout=httpx.Timeout(settings.wait_ms_max / 1000),
        limits=httpx.Limits(max_connections=settings.connections_max),
        follow_redirects=False,
        trust_env=False,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with http:
            yield

    health = Health()
    app = create_app(
        NAME,
        settings.region,
        verifier,
        checks=health.checks,
        around=lambda stack: CarefulHeaders(failures.LongBodies(stack), https=settings.https),
        lifespan=lifespan,
    )
    served = static_files()
    app.state.desk = Desk(settings, Sessions(settings, keys, staff, verifier), http, served, staff)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    failures.install(app)
    take(app, entrance.router(served))
    for page in (
        home, register, importing, needs, kinds, rules, referrals, people, links, hand_over,
        sites, slots, stock, items, lots, beds, assets, shipments, alerts, between, waits, grants,
        pledging, purchases, bills, questions, unproven, orders, money, results, standings,
    ):  # fmt: skip
        take(app, page.routes)
    return Service(name=NAME, settings=settings, database=None, app=app, health=health)
