"""What every page works with: who is there, and what they may ask services for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from pydantic import TypeAdapter
from starlette.datastructures import QueryParams

from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.problems import FORBIDDEN, Problem
from aidmesh_console.clients.alerts import Alerts
from aidmesh_console.clients.intake import Intake
from aidmesh_console.clients.inventory import Inventory
from aidmesh_console.clients.link import (
    ClientError,
    Link,
)
from aidmesh_console.clients.notification import Notification
from aidmesh_console.clients.payments import Payments
from aidmesh_console.clients.peers import Readiness
from aidmesh_console.clients.rebalancing import Rebalancing
from aidmesh_console.clients.reporting import Reporting
from aidmesh_console.clients.shipments import Shipments
from aidmesh_console.forms import FIELDS_MAX, Form
from aidmesh_console.guest import Guest
from aidmesh_console.roles import Act
from aidmesh_console.session import Session

log = get_logger()

T = TypeVar("T")
_READINESS: Final = TypeAdapter(Readiness)


class SignInFirst(Exception):
    """Nobody is signed in, or the visit ended."""


class StaleForm(Exception):
    """A form without the proof that this visit was given it."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """What a service said for a part of a page, or why that part is missing."""

    value: T | None = None
    error: ClientError | None = None


class Visit(Guest):
    """Someone who is signed in."""

    session: Session

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if self.session is None:
            raise SignInFirst

    @property
    def asked(self) -> QueryParams:
        """What the address asks for."""
        return self.request.query_params

    @cached_property
    def intake(self) -> Intake:
        """Persons, requests and needs."""
        return Intake(self._link("intake", str(self.desk.settings.intake_url)))

    @cached_property
    def inventory(self) -> Inventory:
        """Sites, stock, beds and slots."""
        return Inventory(
            self._link("inventory", str(self.desk.settings.inventory_url)),
            self.desk.settings.region,
        )

    @cached_property
    def alerts(self) -> Alerts:
        """Alerts over areas."""
        return Alerts(self.inventory.link)

    @cached_property
    def shipments(self) -> Shipments:
        """Goods between regions."""
        return Shipments(self.inventory.link)

    @cached_property
    def payments(self) -> Payments:
        """Grants and payouts."""
        return Payments(self._link("payments", str(self.desk.settings.payments_url)))

    @cached_property
    def rebalancing(self) -> Rebalancing:
        """Money that moves between holders."""
        return Rebalancing(self.payments.link)

    @cached_property
    def notification(self) -> Notification:
        """Messages to people."""
        return Notification(self._link("notification", str(self.desk.settings.notification_url)))

    @cached_property
    def reporting(self) -> Reporting:
        """Results."""
        return Reporting(self._link("reporting", str(self.desk.settings.reporting_url)))

    async def hear(self, answer: Awaitable[T]) -> Heard[T]:
        """Ask for a part of a page; the page is shown without it where it can't be had."""
        try:
            return Heard(value=await answer)
        except ClientError as error:
            return Heard(error=error)

    async def readiness(self) -> Mapping[str, Readiness | None]:
        """What the services say of themselves; None of those that can't work."""
        links = {
            "intake": self.intake.link,
            "inventory": self.inventory.link,
            "payments": self.payments.link,
            "notification": self.notification.link,
            "reporting": self.reporting.link,
        }
        said = await asyncio.gather(
            *(self.hear(link.readiness(_READINESS)) for link in links.values())
        )
        return {name: heard.value for name, heard in zip(links, said, strict=True)}

    def asked_id(self, name: str) -> UUID | None:
        """An id in the address, None where there is none that is one."""
        try:
            return UUID(self.asked.get(name, ""))
        except ValueError:
            return None

    def _link(self, service: str, base: str) -> Link:
        asks_only = self.form is not None and self.form.shown_in is not None
        return Link(
            self.desk.http,
            service,
            base,
            self.session.token,
            self.cut,
            self.spent,
            asks_only=asks_only,
        )


def visitor(*acts: Act) -> Callable[[Request], Awaitable[Visit]]:
    """A dependency: whoever is signed in and may do one of `acts`; anybody where none is named."""

    async def of(request: Request) -> Visit:
        visit = Visit(request)
        if acts and not any(visit.may(act) for act in acts):
            raise Problem(FORBIDDEN)
        return visit

    return of


async def _posted(request: Request) -> Form:
    form = Form(await request.form(max_files=0, max_fields=FIELDS_MAX))
    request.state.form = form
    guest = Guest(request)
    if guest.session is None:
        raise SignInFirst
    prove(request, guest, form)
    return form


def prove(request: Request, guest: Guest, form: Form) -> None:
    """Raise `StaleForm` unless this visit was given the form on a page of this desk."""
    if (
        guest.session is None
        or not from_here(request)
        or not guest.desk.sessions.proves(guest.session.visit_id, form.text("proof") or "")
    ):
        log.warning("form.stale")
        raise StaleForm


def from_here(request: Request) -> bool:
    """Whether the browser, if it says so, was on a page of this desk when it sent a form."""
    return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}


Posted = Annotated[Form, Depends(_posted)]
"""A parameter of this type is a form that this visit was given and sent."""
