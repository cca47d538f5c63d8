"""A client of NATS that forgets no connection."""

from collections.abc import Callable

from nats.aio.client import Client as NatsClient


class Client(NatsClient):
    """Lets go of a connection whose handshake failed.

    nats-py opens the next one in its place and forgets it, when it connects anew and when it is
    not to: a server that dies or stands still while it is dialed leaves a socket open each time.
    """

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            if self._transport is not None:
                close: Callable[[], object] = self._transport.close  # without types of its own
                close()
            raise
