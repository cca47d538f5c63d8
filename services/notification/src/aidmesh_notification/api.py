"""The HTTP API: which messages there are and who has to be told in person.

No answer holds an address or a text that somebody got: those exist only while sending.
"""

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

import asyncpg
from fastapi import Depends, Query, Response
from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.crypto import PublicKey, seal
from aidmesh_chassis.db import Database, clock
from aidmesh_chassis.http import Body, Page, PageQuery, Routes, rows_max
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.keys import KeyFileError
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.addresses import checked
from aidmesh_contracts.days import day_of
from aidmesh_contracts.pickup import ends_at
from aidmesh_contracts.values import Code
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.hours import parse_hours
from aidmesh_notification.domain.sending import NotReportable, Report, State, Wording
from aidmesh_notification.handlers import report
from aidmesh_notification.problems import NOT_REPORTABLE
from aidmesh_notification.store import contacts, lists
from aidmesh_notification.texts import Templates

_KEY: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])
Reader = Annotated[Caller, Depends(require(Role.CASEWORKER, Role.LEAD, Role.ONCALL))]
# Seen in previews where a real message has a number.
_PREVIEW_DAYS = 7
_PREVIEW_COUNT = 3


class MessageOut(BaseModel):
    """One message about a need.

    Attributes:
        why: for a message that did not go out.
        told: whether the person knows by now, by this message or in person.
        report_code: why it did not arrive, in the gateway's words.
    """

    message_id: UUID
    need_id: UUID
    attempt_no: int
    template: str
    sensitive: bool
    state: State
    why: str | None
    channel: str | None
    tries: int
    queued_at: datetime
    due_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    told: bool
    report_code: str | None


class ReportIn(Body):
    """What became of a message that was sent; `reason` is a code, such as `mailbox_full`."""

    outcome: Report
    reason: Code | None = None

    @model_validator(mode="after")
    def _reason(self) -> "ReportIn":
        if (self.outcome == "failed") != (self.reason is not None):
            raise ValueError("a reason goes with failed, only then")
        return self


class MessagePage(BaseModel):
    """A page of messages; `next` is the cursor of the following one."""

    messages: list[MessageOut]
    next: str | None


class TextOut(BaseModel):
    """How a template reads in one wording and language, with sample values."""

    wording: Wording
    language: str
    subject: str
    text: str


class TemplateOut(BaseModel):
    """One template."""

    code: str
    guarantee: Literal["at_most_once", "at_least_once"]
    texts: list[TextOut]


class ChannelsOut(BaseModel):
    """The channels that are set up."""

    channels: list[Channel]


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


def router(
    database: Database,
    templates: Templates,
    card_key: Callable[[], PublicKey],
    channels: Collection[Channel],
) -> Routes:
    """Return the routes.

    Args:
        channels: those that messages go out by.
        card_key: gives notification's own public key, to which staff contacts are sealed.
    """
    routes = Routes(prefix="/v1")

    @routes.get("/messages")
    async def list_messages(
        caller: Reader,
        page: PageQuery,
        state: Annotated[list[State] | None, Query(max_length=len(get_args(State)))] = None,
        need_id: UUID | None = None,
    ) -> MessagePage:
        """Messages about needs, the oldest first."""
        async with database.read() as conn:
            rows = await lists.list_messages(
                conn,
                states=state,
                need_id=need_id,
                sensitive_too=caller.sees_sensitive,
                after=page.after(_KEY),
                limit=page.limit + 1,
            )
        return _page(page, [_message(row) for row in rows])

    @routes.get("/messages/to-tell")
    async def to_tell(caller: Reader, page: PageQuery) -> MessagePage:
        """Needs that are ready and whose person no message reached: tell them in person."""
        async with database.read() as conn:
            rows = await lists.list_to_tell(
                conn,
                sensitive_too=caller.sees_sensitive,
                after=page.after(_KEY),
                limit=page.limit + 1,
            )
        return _page(page, [_message(row) for row in rows])

    @routes.post("/messages/{message_id}:report")
    async def report_on(message_id: UUID, body: ReportIn, caller: Reader, once: Once) -> Response:
        """A gateway, or staff for it, says whether a message arrived. Twice the same is once.

        Mails carry the id in their Message-ID, lines of a spool as `message_id`. Whoever has the
        id may report, on messages about sensitive needs too: a gateway has to, and sees nothing.
        """
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            try:
                state = await report(tx, message_id, body.outcome, body.reason)
            except NotReportable:
                raise Problem(NOT_REPORTABLE) from None
            if state is None:
                raise Problem(NOT_FOUND)
            return await once.answer(tx, 200, {"message_id": message_id, "state": state})

    @routes.get("/messages/counts", openapi_extra=rows_max(len(get_args(State))))
    async def counts(caller: Reader) -> dict[str, int]:
        """How many messages about needs are in each state, of those that the caller sees."""
        async with database.read() as conn:
            return dict(await lists.count_by_state(conn, sensitive_too=caller.sees_sensitive))

    @routes.get(
        "/templates",
        dependencies=[Depends(require())],
        openapi_extra=rows_max(len(list(templates))),
    )
    async def list_templates() -> list[TemplateOut]:
        """What people may be sent, word for word, with sample values."""
        async with database.read() as conn:
            now = await clock(conn)
        until_at = ends_at(now, _PREVIEW_DAYS)
        return [
            TemplateOut(
                code=template.code,
                guarantee=template.guarantee,
                texts=[
                    TextOut(
                        wording=wording,
                        language=language,
                        **templates.render(
                            template.code,
                            wording,
                            language,
                            until_at=until_at,
                            count=_PREVIEW_COUNT,
                            starts_at=now,
                            from_on=day_of(until_at),
                        ).model_dump(),
                    )
                    for wording, texts in template.texts.items()
                    for language in texts
                ],
            )
            for template in templates
        ]

    @routes.get(
        "/channels", dependencies=[Depends(require())], openapi_extra=rows_max(len(list(Channel)))
    )
    async def list_channels() -> ChannelsOut:
        """By which channels messages go out here; a contact by another one is told in person."""
        return ChannelsOut(channels=sorted(channels))

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


def _message(row: asyncpg.Record) -> MessageOut:
    fields = dict(row)
    return MessageOut(why=fields.pop("reason"), told=fields.pop("settled_at") is not None, **fields)


def _page(page: Page, messages: list[MessageOut]) -> MessagePage:
    kept, cursor = page.cut(messages, lambda message: (message.queued_at, message.message_id))
    return MessagePage(messages=list(kept), next=cursor)
