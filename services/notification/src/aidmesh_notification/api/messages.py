"""Which messages there are, what became of them, and who has to be told in person.

No answer holds an address or a text that somebody got: those exist only while sending.
"""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import asyncpg
from fastapi import Depends, Query, Response
from pydantic import BaseModel, TypeAdapter, model_validator

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, Page, PageQuery, Routes, rows_max
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.values import Code
from aidmesh_notification.domain.sending import NotReportable, Report, State
from aidmesh_notification.handlers.telling import report
from aidmesh_notification.problems import NOT_REPORTABLE
from aidmesh_notification.store import lists

_KEY: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])
Reader = Annotated[Caller, Depends(require(Role.CASEWORKER, Role.LEAD, Role.ONCALL))]


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


def router(database: Database) -> Routes:
    """Return the routes of messages."""
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

        Mails carry an id of their own in their Message-ID, lines of a spool as `post_id`. Whoever
        has that may report, on messages about sensitive needs too: a gateway has to, and sees
        nothing. It is forgotten two weeks after the message left, and with its person. Those who
        see a message may name it by its `message_id` as well.
        """
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            try:
                state = await report(
                    tx,
                    message_id,
                    body.outcome,
                    body.reason,
                    sensitive_too=caller.sees_sensitive,
                )
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

    return routes


def _message(row: asyncpg.Record) -> MessageOut:
    fields = dict(row)
    return MessageOut(why=fields.pop("reason"), told=fields.pop("settled_at") is not None, **fields)


def _page(page: Page, messages: list[MessageOut]) -> MessagePage:
    kept, cursor = page.cut(messages, lambda message: (message.queued_at, message.message_id))
    return MessagePage(messages=list(kept), next=cursor)
