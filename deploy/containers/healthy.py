"""Exits with 0 when the service in this container says that it is ready; takes a few milliseconds.

`healthy.py [PORT]`; nothing is imported but a socket, since it is run every few seconds.
"""

import socket
import sys

SECONDS_MAX = 4.0


def main(port: int) -> int:
    """Ask `/readyz` once."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = connection.recv(64).split(b" ")
    except OSError:
        return 1
    return 0 if status[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
