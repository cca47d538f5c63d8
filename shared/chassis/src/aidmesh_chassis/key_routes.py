"""`/v1/keys`: drop a running service's secret keys, and load them again.

What `aidmesh lock` and `aidmesh unlock` speak to. A service that holds secret keys for personal
data calls `install`, so that its metrics and `/readyz` say too when it has to do without. The
resource is whole and small, so it is put, not posted: twice leaves the keys as once does.

It may be put over any line. A passphrase comes sealed to this process (see passphrases), at most a
few times a minute, and one at a time is tried: each takes about a second and 256 MiB.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from fastapi import Depends, FastAPI
from pydantic import BaseModel, StrictBool

from aidmesh_chassis.auth import Role, require
from aidmesh_chassis.crypto import DecryptionFailed
from aidmesh_chassis.http import Body, Routes, rows_max, take
from aidmesh_chassis.keys import KeyFileError, KeyRing, WrongPassphrase
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.metrics import KEYS_LOCKED, Metrics
from aidmesh_chassis.nkey import SeedError
from aidmesh_chassis.passphrases import Receiver, Sealed, SealTo
from aidmesh_chassis.problems import TOO_MANY, Problem, ProblemType, retry_after
from aidmesh_chassis.settings import ServiceSettings
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
SEALED_ELSEWHERE: Final = ProblemType(
    "sealed-elsewhere",
    int(HTTPStatus.CONFLICT),
    "The passphrase is not sealed to what this service opens now",
    "Try again: ask anew what to seal it to, and put it to the same copy of the service. Nothing "
    "was changed.",
)
PROBLEMS: Final = (WRONG_PASSPHRASE, KEYS_UNUSABLE, SEALED_ELSEWHERE)
"""What these routes add to the catalogue."""


class KeysWanted(Body):
    """Whether the secret keys should be in memory.

    `sealed_passphrase` is there if their files have one, sealed to what the state says.
    """

    locked: StrictBool
    sealed_passphrase: Sealed | None = None


class KeysState(BaseModel):
    """Whether a secret key is missing, and which.

    `service` is who answers, and `seal_to` what a passphrase for it is to be sealed to next; null
    for a service without an nkey that can be read, which can't prove who it is.
    """

    locked: bool
    missing: tuple[str, ...]
    service: str
    seal_to: SealTo | None


def install(app: FastAPI, service: str, settings: ServiceSettings, keys: KeyRing) -> None:
    """Add the routes to a service's app, and have it show which keys are missing."""
    receiver = Receiver(settings.region, service, settings.nats_seed_file)
    take(app, router(service, keys, receiver))
    app.state.details["missing_keys"] = lambda: list(keys.missing)
    metrics: Metrics = app.state.metrics
    metrics.gauge(KEYS_LOCKED).set_function(lambda: float(bool(keys.missing)))


def router(service: str, keys: KeyRing, receiver: Receiver) -> Routes:
    """The routes of one service's keys, for on-call staff."""
    may = Depends(require(Role.ONCALL))
    routes = Routes(prefix="/v1/keys", tags=["keys"], dependencies=[may])
    attempts = Attempts()
    one_at_a_time = asyncio.Lock()

    def state() -> KeysState:
        try:
            seal_to = receiver.seal_to()
        except SeedError:
            log.warning("keys.unreadable")
            seal_to = None
        missing = keys.missing
        return KeysState(locked=bool(missing), missing=missing, service=service, seal_to=seal_to)

    @routes.get("", openapi_extra=rows_max(len(keys.wanted)))
    async def look() -> KeysState:
        """Which secret keys this service has not loaded, and what to seal a passphrase to."""
        return state()

    @routes.put("")
    async def put(wanted: KeysWanted) -> KeysState:
        """Drop the keys from memory, or load them; a wrong passphrase changes nothing."""
        if wanted.locked:
            receiver.renew()
            keys.lock()
            async with one_at_a_time:  # an unlock that was under way loaded them again
                if not keys.missing:
                    keys.lock()
            return state()
        sealed = wanted.sealed_passphrase
        try:
            passphrase = None if sealed is None else receiver.open(sealed).reveal()
        except DecryptionFailed:
            log.warning("keys.unlock_refused", cause="sealed_elsewhere")
            raise Problem(SEALED_ELSEWHERE) from None
        try:
            attempts.take("")
        except TooManyAttempts as refusal:
            log.warning("keys.unlock_refused", cause="too_many_attempts")
            raise retry_after(TOO_MANY, refusal.retry_s) from None
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
