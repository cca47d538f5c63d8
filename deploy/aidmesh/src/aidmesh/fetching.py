"""What is at an address, by the standard library alone: blocking, bounded, past any proxy."""

import http.client
import json
from typing import cast
from urllib.parse import urlsplit


def get(url: str, seconds_max: float) -> tuple[int, bytes]:
    """Status and body of an answer.

    Args:
        url: http or https.
        seconds_max: to wait for each part of the answer.

    Raises:
        OSError, http.client.HTTPException: there is none.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=seconds_max)
    try:
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl())
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_json(url: str, seconds_max: float) -> dict[str, object]:
    """An answer in JSON. Raises ValueError if it is none, and as `get`."""
    _, body = get(url, seconds_max)
    return cast("dict[str, object]", json.loads(body))
