"""Where members of staff have the daily digest sent: never told, only whether."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Response
from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.crypto import PublicKey, seal
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.keys import KeyFileError
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.addresses import checked
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.hours import parse_hours
from aidmesh_notification.domain.sending import Wording
from aidmesh_notification.store import contacts


class SubscriptionIn(Body):
    """Where a member of staff wants the daily digest of people to be told in person."""

    channel: Channel
    address: PersonalText
    language: Literal["uk", "en", "de"] = "uk"
    hours_from: Annotated[str, Field(pattern=r"^[0-2][0-9]:[0-5][0-9]$")] = "09:00"
    hours_to: Annotated[str, Field(pattern=r"^[0-2][0-9]:[0-5][0-9]$")] = "20:00"
    wording: Wording = "neutral"

    @field_validator("address")
    @classmethod
    def _has_its_form(cls, address: PersonalText, info: ValidationInfo) -> PersonalText:
        return PersonalText(checked(info.data.get("channel"), address.reveal()))

    @model_validator(mode="after")
    def _hours(self) -> "SubscriptionIn":
        parse_hours(self.hours_from, self.hours_to)
        return self


class SubscriptionOut(BaseModel):
    """Whether the caller gets the digest; never where."""

    subscribed: bool
    changed_at: datetime | None


def router(database: Database, card_key: Callable[[], PublicKey]) -> Routes:
    """Return the routes of the caller's subscription.

    Args:
        card_key: gives notification's own public key, to which staff contacts are sealed.
    """
    routes = Routes(prefix="/v1")

    @routes.get("/subscription")
    async def subscription(caller: Annotated[Caller, Depends(require())]) -> SubscriptionOut:
        """Whether the caller gets the daily digest."""
        async with database.read() as conn:
            since = await contacts.subscribed_since(conn, caller.staff_id)
        return SubscriptionOut(subscribed=since is not None, changed_at=since)

    @routes.put("/subscription", status_code=204)
    async def subscribe(
        caller: Annotated[Caller, Depends(require(Role.CASEWORKER, Role.LEAD))],
        body: SubscriptionIn,
    ) -> Response:
        """Have the daily digest sent to the caller; a later call replaces an earlier one."""
        try:
            public = card_key()
        except KeyFileError:
            raise Problem(
                NOT_FOUND, "This region has no notification key; create its keys first."
            ) from None
        card = {
            "person_id": str(caller.staff_id),
            "version": 1,
            "language": body.language,
            "channel": body.channel.value,
            "address": body.address.reveal(),
            "hours_from": body.hours_from,
            "hours_to": body.hours_to,
            "wording": body.wording,
            "safe": True,
        }
        sealed = seal(public, json.dumps(card, ensure_ascii=False).encode())
        async with database.transaction() as tx:
            await contacts.put_subscription(tx.conn, caller.staff_id, sealed)
        return Response(status_code=204)

    @routes.delete("/subscription", status_code=204)
    async def unsubscribe(caller: Annotated[Caller, Depends(require())]) -> Response:
        """Forget where the caller had the digest sent."""
        async with database.transaction() as tx:
            await contacts.delete_subscription(tx.conn, caller.staff_id)
        return Response(status_code=204)

    return routes
