"""Who is calling: bearer tokens of the region's own issuer.

A token is a JWT (RFC 7519) signed with Ed25519 (`EdDSA`, RFC 8037). Only the console holds the
signing key; every service holds the public one. `aud` is the region, `sub` the random id of a
member of staff, `roles` what they may do. Twelve hours at most, and void within a second when
the member of staff is disabled or gets other roles: a lost phone is not a lasting key.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from aidmesh_chassis.keys import KeyRing, TokenKey
from aidmesh_chassis.logs import bind_need
from aidmesh_chassis.problems import FORBIDDEN, UNAUTHENTICATED, Problem
from aidmesh_chassis.revoking import REVOKED_FILE, Revocations

LIFETIME_S_MAX: Final = 12 * 3600
TOKEN_BYTES_MAX: Final = 4096
_LEEWAY_S: Final = 30
_ALGORITHM: Final = "EdDSA"


class Role(StrEnum):
    """What a member of staff may do. One person can have several."""

    CASEWORKER = "caseworker"
    LOGISTICIAN = "logistician"
    FINANCE = "finance"
    APPROVER = "approver"
    LEAD = "lead"
    ONCALL = "oncall"


SEES_SENSITIVE: Final = frozenset({Role.CASEWORKER, Role.LEAD})
"""Who may know what endangers a single person: health, HIV, legal matters, violence."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified member of staff."""

    staff_id: UUID
    roles: frozenset[Role]

    @property
    def sees_sensitive(self) -> bool:
        """Whether what is sensitive about single people is shown; else it is not there."""
        return not SEES_SENSITIVE.isdisjoint(self.roles)


def _issuer(region: str) -> str:
    return f"urn:aidmesh:issuer:{region}"


def issue_token(
    private_key: Ed25519PrivateKey,
    staff_id: UUID,
    roles: Iterable[Role],
    region: str,
    now: datetime,
    lifetime_s: int,
) -> str:
    """A signed token for one member of staff in one region.

    Raises ValueError for a lifetime outside 1 second to 12 hours, or for no roles at all.
    """
    if not 1 <= lifetime_s <= LIFETIME_S_MAX:
        raise ValueError(f"A token lives 1 to {LIFETIME_S_MAX} seconds.")
    names = sorted({Role(role).value for role in roles})
    if not names:
        raise ValueError("A token needs at least one role.")
    issued_at = int(now.timestamp())
    return jwt.encode(
        {
            "iss": _issuer(region),
            "aud": region,
            "sub": str(staff_id),
            "roles": names,
            "iat": issued_at,
            "exp": issued_at + lifetime_s,
        },
        private_key,
        algorithm=_ALGORITHM,
    )


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    issued_at: int
    expires_at: int
    key: TokenKey


class Verifier:
    """Verifies the tokens of one region.

    Remembers a bounded number of tokens that it has already verified: a signature check costs
    more than all else about a small request. `keys` is the key, or gives all that are accepted now.
    """

    def __init__(
        self,
        keys: Ed25519PublicKey | Callable[[], Sequence[TokenKey]],
        region: str,
        *,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
        remembered_max: int = 1024,
    ) -> None:
        only = (TokenKey(keys),) if isinstance(keys, Ed25519PublicKey) else ()
        self._keys = (lambda: only) if isinstance(keys, Ed25519PublicKey) else keys
        self._region = region
        self._revocations = revocations
        self._clock = clock
        self._remembered_max = remembered_max
        self._remembered: OrderedDict[str, _Verified] = OrderedDict()

    def verify(self, token: str) -> Caller:
        """Who holds this token. Raises `Problem` (401) unless it is valid now, here."""
        now = self._clock()
        keys = self._keys()
        known = self._remembered.get(token)
        if known is None or known.key not in keys:
            self._remembered.pop(token, None)
            known = self._checked(token, now, keys)
            self._remembered[token] = known
            if len(self._remembered) > self._remembered_max:
                self._remembered.popitem(last=False)
        if now >= known.expires_at + _LEEWAY_S:
            self._remembered.pop(token, None)
            raise _unauthenticated()
        if self._revocations is not None and self._revocations.void(
            known.caller.staff_id, known.issued_at
        ):
            raise _unauthenticated()
        return known.caller

    def _checked(self, token: str, now: float, keys: Sequence[TokenKey]) -> _Verified:
        if len(token) > TOKEN_BYTES_MAX:
            raise _unauthenticated()
        for key in keys:
            try:
                return self._checked_by(key, token, now)
            except jwt.InvalidSignatureError:
                continue
        raise _unauthenticated()

    def _checked_by(self, key: TokenKey, token: str, now: float) -> _Verified:
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[_ALGORITHM],
                audience=self._region,
                issuer=_issuer(self._region),
                # Times are checked below, against the clock that was given.
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            issued_at, expires_at = int(claims["iat"]), int(claims["exp"])
            caller = Caller(UUID(claims["sub"]), frozenset(Role(name) for name in claims["roles"]))
        except jwt.InvalidSignatureError:
            raise
        except (jwt.InvalidTokenError, ValueError, TypeError, KeyError, OverflowError):
            raise _unauthenticated() from None
        if issued_at > now + _LEEWAY_S or not 0 < expires_at - issued_at <= LIFETIME_S_MAX:
            raise _unauthenticated()
        if key.until is not None and issued_at > key.until + _LEEWAY_S:
            raise _unauthenticated()
        return _Verified(caller, issued_at, expires_at, key)


def verifier_of(keys: KeyRing, region: str) -> Verifier:
    """The verifier of a region's tokens, with its keys folder. Raises `KeyFileError`."""
    revocations = Revocations(keys.folder / REVOKED_FILE)
    keys.token_keys()  # a service without any does not start
    return Verifier(keys.token_keys, region, revocations=revocations)


def _unauthenticated() -> Problem:
    # Which check failed is of use only to someone who forges tokens.
    return Problem(UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of this region")


def require(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency: the verified caller, who has at least one of `roles`.

    Without roles any member of staff will do. Raises `Problem` 401 or 403.
    """
    allowed = frozenset(roles)
    names = sorted(role.value for role in allowed)

    async def caller(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        if credentials is None:
            raise _unauthenticated()
        verifier: Verifier = request.app.state.verifier
        found = verifier.verify(credentials.credentials)
        request.state.caller = found
        bind_contextvars(staff_id=str(found.staff_id))
        bind_need(request.path_params.get("need_id"))
        if allowed and not allowed & found.roles:
            raise Problem(FORBIDDEN, roles=list(names))
        return found

    return caller
