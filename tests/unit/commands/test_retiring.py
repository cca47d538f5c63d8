"""A region that retires is stopped while the command that retires it is connected to it."""

import asyncio
from types import SimpleNamespace
from unittest.mock import Mock

from aidmesh.quiet import RegionProbe
from aidmesh.retiring import Retirement


class Reconnecting:
    """A connection to a server that was stopped, as nats-py closes it."""

    async def close(self) -> None:
        raise asyncio.CancelledError


async def test_closing_the_connection_to_what_was_stopped_is_no_end_of_the_command() -> None:
    ended = Mock(is_closed=Mock(return_value=True))
    mesh = Mock(regions={"kyiv": SimpleNamespace(epoch=1)}, peers=Mock(return_value=[]))
    probe = RegionProbe("kyiv", Mock(), Reconnecting(), {"intake": ended})  # type: ignore[arg-type]
    assert await Retirement(mesh, "kyiv", [probe]).gone(60)
