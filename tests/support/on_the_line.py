"""Somebody on the line between a command and a service, who hears and changes what crosses it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Answer = Callable[[str, str, bytes, Mapping[str, str]], tuple[int, bytes]]
"""Method, path, body and headers; status and body."""
PASSED_ON = ("Authorization", "Content-Type")


@dataclass(slots=True)
class Line:
    """What crossed it, as methods and bodies, and with which right last."""

    heard: list[tuple[str, bytes]] = field(default_factory=list)
    authorization: str = ""


@contextmanager
def recording(url: str) -> Iterator[tuple[str, Line]]:
    """Who hears all, and passes it on to a service."""

    def pass_on(
        method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        answer = httpx.request(
            method, f"{url}{path}", content=body, headers=headers, trust_env=False, timeout=60
        )
        return answer.status_code, answer.content

    with _on_the_line(pass_on) as found:
        yield found


@contextmanager
def impostor(said: dict[str, object]) -> Iterator[tuple[str, Line]]:
    """Who says this, whatever is asked."""
    with _on_the_line(lambda *_: (200, json.dumps(said).encode())) as found:
        yield found


@contextmanager
def _on_the_line(answer: Answer) -> Iterator[tuple[str, Line]]:
    line = Line()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line.heard.append((self.command, body))
            line.authorization = self.headers["Authorization"]
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            status, content = answer(self.command, self.path, body, headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = handle_any  # noqa: N815 - names of the library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", line
        finally:
            server.shutdown()
            serving.join()
