"""Files of requests, good row by good row, and how they are sent."""

from typing import Any

from httpx import Response

from integration.intake.world import World

HEAD = "row_id,client_code,kind,area,asked_on,contact_channel,contact_address,contact_hours"
HEAD += ",contact_wording,contact_safe,given,served_on,quantity"


def line(n: int, code: str | None = None, kind: str = "food_parcel", quantity: str = "1") -> str:
    """A good row."""
    return (
        f"r{n},{code or f'code-{n}'},{kind},UA80,2024-02-03,email,canary{n}@example.org,"
        f"09:00-20:00,neutral,true,,,{quantity}"
    )


async def post(world: World, body: str | bytes, key: str | None = None, **query: str) -> Response:
    """Send a file."""
    headers = world.headers() | {"Content-Type": "text/csv"}
    return await world.client.post(
        "/v1/requests:import",
        params={"source": "kobo", "format": "csv", **query},
        content=body,
        headers=headers if key is None else headers | {"Idempotency-Key": key},
    )


async def send(world: World, body: str | bytes, status: int = 200, **query: str) -> Any:
    """Import a file."""
    answer = await post(world, body, **query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def jobs(world: World) -> int:
    """How many imports were begun."""
    async with world.db.read() as conn:
        found: int = await conn.fetchval("SELECT count(*) FROM import_job")
    return found
