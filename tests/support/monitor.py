"""What a running NATS server says of itself."""

import http.client
import json
from typing import Any


def flushes_always(monitor_port: int) -> bool:
    """Whether the server flushes whatever it stores before it says so."""
    connection = http.client.HTTPConnection("127.0.0.1", monitor_port, timeout=30)
    try:
        connection.request("GET", "/varz")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer["jetstream"]["config"].get("sync_always") is True
