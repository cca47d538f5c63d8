"""A PostgreSQL that lets everybody in and then says nothing more, as one whose disk hangs."""

import socketserver
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

PATIENCE_S: Final = 30.0
TLS: Final = 80877103
CANCEL: Final = 80877102
LET_IN: Final = (
    b"R" + struct.pack("!ii", 8, 0)  # no password
    + b"S" + struct.pack("!i", 24) + b"server_version\x0018.0\x00"
    + b"K" + struct.pack("!iii", 12, 1, 1)
    + b"Z" + struct.pack("!ic", 5, b"I")
)  # fmt: skip


class Stalled(socketserver.ThreadingTCPServer):
    """It takes what is sent, for `PATIENCE_S` at the most, and answers nothing.

    Attributes:
        asked: somebody sent a statement.
        canceled: somebody wanted one canceled.
        left_waiting: a connection was still open, and silent, when its patience was over.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Silence)
        self.asked, self.canceled, self.left_waiting = Event(), Event(), Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Silence(socketserver.StreamRequestHandler):
    server: Stalled
    timeout = PATIENCE_S

    def handle(self) -> None:
        try:
            if not self._lets_in():
                return
            while kind := self.rfile.read(1):
                (length,) = struct.unpack("!i", self.rfile.read(4))
                self.rfile.read(length - 4)
                if kind in b"PQ":
                    self.server.asked.set()
        except TimeoutError:
            self.server.left_waiting.set()
        except (ConnectionError, struct.error):
            pass  # it was cut

    def _lets_in(self) -> bool:
        length, code = self._first()
        if code == TLS:
            self.wfile.write(b"N")
            length, code = self._first()
        self.rfile.read(length - 8)
        if code == CANCEL:
            self.server.canceled.set()
            return False
        self.wfile.write(LET_IN)
        return True

    def _first(self) -> tuple[int, int]:
        length, code = struct.unpack("!ii", self.rfile.read(8))
        return length, code


@contextmanager
def stalled() -> Iterator[Stalled]:
    """Such a server, while the block lasts."""
    with Stalled() as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
