"""What is at an address is fetched as it was asked for, whatever a proxy would say."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aidmesh.fetching import get, get_json


class Echo(BaseHTTPRequestHandler):
    """Answers with the path that was asked for; 503 where it ends in `away`."""

    def do_GET(self) -> None:
        self.send_response(503 if self.path.endswith("away") else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path}).encode())

    def log_message(self, *_: object) -> None:
        """Nothing to a test's output."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_query_is_part_of_what_is_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert get_json(f"{address}/connz?limit=4096", 20.0) == {"path": "/connz?limit=4096"}


def test_a_refusal_is_an_answer_too(address: str) -> None:
    assert get(f"{address}/away", 20.0) == (503, b'{"path": "/away"}')


def test_whoever_is_not_there_is_no_answer() -> None:
    with pytest.raises(OSError, match="refused"):
        get("http://127.0.0.1:1/healthz", 20.0)
