"""Free TCP ports on the loopback interface."""

import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack

# Below the range that Linux (32768) and macOS (49152) hand out for outgoing connections: a port
# remembered today must not be somebody's source port tomorrow.
PORT_MIN = 15_000
PORT_MAX = 32_000
HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, start: int | None = None) -> tuple[int, ...]:
    """`count` different ports nobody listens on, upwards from `start` (else a random place).

    Raises OSError when there are not enough of them.
    """
    # Not for secrecy: two meshes started at once should look in different places.
    first = start if start is not None else random.randrange(PORT_MIN, PORT_MAX)  # noqa: S311
    candidates: Iterable[int] = (
        range(first, 65_536)
        if start is not None
        else (*range(first, PORT_MAX), *range(PORT_MIN, first))
    )
    found: list[int] = []
    with ExitStack() as held:
        for port in candidates:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return tuple(found)
    raise OSError(f"fewer than {count} free ports from {first} on")
