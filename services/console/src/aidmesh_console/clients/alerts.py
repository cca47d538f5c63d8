"""Alerts as the desk sees them: inventory keeps them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View


class Alert(View):
    """An alert over an area that lasts."""

    alert_id: UUID
    area: str
    reason: str
    began_at: datetime


class _List(Page):
    rows: tuple[Alert, ...]


_LIST = TypeAdapter(_List)


class Alerts:
    """What the desk asks of inventory about alerts."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def lasting(self) -> Sequence[Alert]:
        """The alerts that last."""
        pages = self.link.pages("/v1/alerts", _LIST)
        return [each async for page in pages for each in page.rows]

    async def begin(self, area: str, reason: str, key: UUID) -> None:
        """Begin an alert; one that lasts over the same area goes on."""
        await self.link.post("/v1/alerts", ACCEPTED, {"area": area, "reason": reason}, key)

    async def end(self, alert_id: UUID, key: UUID) -> None:
        """End an alert."""
        await self.link.post(f"/v1/alerts/{alert_id}:end", ACCEPTED, {}, key)
