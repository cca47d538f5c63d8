"""`/v1/keys`: drop a running service's secret keys, and load them again.

What `aidmesh lock` and `aidmesh unlock` speak to. A service that holds secret keys for personal
data calls `install`, so that its metrics and `/readyz` say too when it has to do without. The
resource is whole and small, so it is put, not posted: putting it twice is the same as once.

A passphrase is taken only over TLS or from this machine, at most a few times a minute, and one
at a time: each takes about a second and 256 MiB.
"""

import asyncio
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, StrictBool, StringConstraints

from aidmesh_chassis.auth import Role, require
from aidmesh_chassis.http import Body, Routes, rows_max, take
from aidmesh_chassis.keys import KeyFileError, KeyRing, WrongPassphrase
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.metrics import KEYS_LOCKED, Metrics
from aidmesh_chassis.privacy import Hidden
from aidmesh_chassis.problems import TOO_MANY, Problem, ProblemType, retry_after
from aidmesh_chassis.staff import Attempts, TooManyAttempts

log = get_logger()

WRONG_PASSPHRASE: Final = ProblemType(
    "wrong-passphrase",
    int(HTTPStatus.UNPROCESSABLE_ENTITY),
    "The passphrase does not open the keys",
    "Type it again; after a few attempts there is one a minute. Nothing was changed.",
)
KEYS_UNUSABLE: Final = ProblemType(
    "keys-unusable",
    int(HTTPStatus.CONFLICT),
    "The key files of this service cannot be used",
    "Look at the service's keys folder: `reason` names the file and what is wrong with it.",
)
NOT_CONFIDENTIAL: Final = ProblemType(
    "not-confidential",
    int(HTTPStatus.FORBIDDEN),
    "This is not done over an open line",
    "Call the service from its own machine (or by a forwarded port), or over TLS; if a "
    "passphrase was sent just now, change it.",
)
PROBLEMS: Final = (WRONG_PASSPHRASE, KEYS_UNUSABLE, NOT_CONFIDENTIAL)
"""What these routes add to the catalogue."""


class Passphrase(Hidden[str]):
    """A passphrase, kept to the letter."""

    __slots__ = ()
    inner = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1024)]


class KeysWanted(Body):
    """Whether the secret keys should be in memory; the passphrase, if their files have one."""

    locked: StrictBool
    passphrase: Passphrase | None = None


class KeysState(BaseModel):
    """Whether a secret key is missing, and which."""

    locked: bool
    missing: tuple[str, ...]


def install(app: FastAPI, keys: KeyRing) -> None:
    """Add the routes to a service's app, and have it show which keys are missing."""
    take(app, router(keys))
    app.state.details["missing_keys"] = lambda: list(keys.missing)
    metrics: Metrics = app.state.metrics
    metrics.gauge(KEYS_LOCKED).set_function(lambda: float(bool(keys.missing)))


def router(keys: KeyRing) -> Routes:
    """The routes of one service's keys, for on-call staff."""
    may = Depends(require(Role.ONCALL))
    routes = Routes(prefix="/v1/keys", tags=["keys"], dependencies=[may])
    attempts = Attempts()
    one_at_a_time = asyncio.Lock()

    def state() -> KeysState:
        return KeysState(locked=bool(keys.missing), missing=keys.missing)

    @routes.get("", openapi_extra=rows_max(len(keys.wanted)))
    async def look() -> KeysState:
        """Which secret keys this service has not loaded."""
        return state()

    @routes.put("", dependencies=[Depends(_confidential)])
    async def put(wanted: KeysWanted) -> KeysState:
        """Drop the keys from memory, or load them; a wrong passphrase changes nothing."""
        if wanted.locked:
            keys.lock()
            async with one_at_a_time:  # an unlock that was under way loaded them again
                if not keys.missing:
                    keys.lock()
            return state()
        try:
            attempts.take("")
        except TooManyAttempts as refusal:
            log.warning("keys.unlock_refused", cause="too_many_attempts")
            raise retry_after(TOO_MANY, refusal.retry_s) from None
        passphrase = wanted.passphrase.reveal() if wanted.passphrase else None
        try:
            async with one_at_a_time:
                await asyncio.to_thread(keys.unlock, passphrase)
        except WrongPassphrase:
            log.warning("keys.unlock_refused", cause="wrong_passphrase")
            raise Problem(WRONG_PASSPHRASE) from None
        except KeyFileError as error:
            log.warning("keys.unlock_refused", cause="keys_unusable")
            raise Problem(KEYS_UNUSABLE, reason=str(error)) from None
        attempts.forget("")
        return state()

    return routes


async def _confidential(request: Request) -> None:
    """Refuse unless what is sent can be read by nobody on the way."""
    if request.url.scheme == "https" or (request.client and _is_here(request.client.host)):
        return
    raise Problem(NOT_CONFIDENTIAL)


def _is_here(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
