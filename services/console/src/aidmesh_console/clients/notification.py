"""Notification as the desk sees it: whom no message reached."""

from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import Link, View


class ToTell(View):
    """A need that is ready and whose person has to be told in person; `why` no message went."""

    need_id: UUID
    attempt_no: int
    why: str | None = None
    queued_at: datetime


class ToTellPage(View):
    """The longest waiting first."""

    messages: tuple[ToTell, ...]
    next: str | None = None


_PAGE = TypeAdapter(ToTellPage)


class Notification:
    """What the desk asks of notification."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def to_tell(self, after: str | None = None, limit: int = 50) -> ToTellPage:
        """Whom to tell in person."""
        query = {"after": after, "limit": limit}
        return await self.link.get("/v1/messages/to-tell", _PAGE, query)
