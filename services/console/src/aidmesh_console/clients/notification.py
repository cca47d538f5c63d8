"""What the desk asks of notification."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from aidmesh_console.clients.link import Link, View


class _Channels(View):
    channels: tuple[str, ...]


_CHANNELS = TypeAdapter(_Channels)


class Notification:
    """What the desk asks of notification."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def channels(self) -> Sequence[str]:
        """The channels by which messages go out in this region."""
        return (await self.link.get("/v1/channels", _CHANNELS)).channels
