"""`aidmesh import` says in words what became of a file that nobody answered for."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aidmesh.__main__ import build
from aidmesh.commands.common import EXIT_FAILED
from aidmesh.commands.import_ import SEND_AGAIN, TRY_AGAIN


class Proxy(BaseHTTPRequestHandler):
    """Stands before an intake that is away."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b"<html>Bad Gateway</html>")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def proxy() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("options", "do"), [([], SEND_AGAIN), (["--dry-run"], TRY_AGAIN)])
def test_what_is_to_be_done_is_said_whoever_did_not_answer(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    options: list[str],
    do: str,
) -> None:
    monkeypatch.setenv("AIDMESH_TOKEN", "a.b.c")
    (tmp_path / "rows.csv").write_text("row_id,kind\n")
    nobody = "http://127.0.0.1:1"
    for url, what in ((proxy, "answered with status 502"), (nobody, "does not answer")):
        words = ["import", str(tmp_path / "rows.csv"), "--source", "kobo", "--url", url, *options]
        with pytest.raises(SystemExit) as ended:
            build()(words)
        assert ended.value.code == EXIT_FAILED
        said = capsys.readouterr().err
        assert f"{url} {what}" in said
        assert said.endswith(f"; {do}\n")
