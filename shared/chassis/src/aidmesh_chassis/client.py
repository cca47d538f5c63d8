"""A client of NATS that forgets no connection and reads headers fast."""

from collections.abc import Callable

from nats.aio.client import Client as NatsClient

_BLANKS = " \t\n\r\v\f"  # of bytes; text has more of them


class Client(NatsClient):
    """Lets go of a connection whose handshake failed, and reads a message's headers fast.

    nats-py opens the next connection in its place and forgets it, when it connects anew and when it
    is not to: a server that dies or stands still while it is dialed leaves a socket open each time.
    """

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            if self._transport is not None:
                close: Callable[[], object] = self._transport.close  # without types of its own
                close()
            raise

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Read `Name: value` lines as nats-py does, in a fifth of its time.

        That one looks at each character of each name, in Python: 35 us for the 14 headers of an
        event, which were 7 % of what a region's services compute under load. Lines without a
        colon, and names that cannot be (blanks inside, not ASCII), are left out here too.
        """
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            name = name.strip(_BLANKS)
            if colon and name.isascii() and name.split() == [name]:
                headers[name] = value.strip(_BLANKS)
        return headers
