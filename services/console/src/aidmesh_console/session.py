"""Who is at the desk: a signed cookie, since the desk keeps nothing.

The cookie holds the token of the signed-in member of staff, a random id of the visit, when the
visit began, and when it was last used; BLAKE2b keyed with a secret of the region signs it. The
proof in every form is derived from the visit's id, so it needs no store either. The only thing
remembered, in bounded memory, is which visits were ended by hand.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aidmesh_chassis.auth import Caller, Role, Verifier, issue_token
from aidmesh_chassis.crypto import DecryptionFailed, SecretKey, decrypt, encrypt
from aidmesh_chassis.keys import KeyRing, Locked
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.staff import Staff, StaffError, StaffFile
from aidmesh_console.config import Settings

COOKIE: Final = "desk"
PRE_COOKIE: Final = "desk_form"
_ENDED_MAX: Final = 10_000
_COOKIE_CHARS_MAX: Final = 3_500
_MAC_BYTES: Final = 32
KEPT_S: Final = 2 * 3600
"""For how long a form that came too late can be shown again."""
_KEPT_BYTES_MAX: Final = 64 * 1024
_KEPT: Final = b"desk kept form"


class _Content(BaseModel):
    """What the cookie says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visit_id: str = Field(min_length=16, max_length=64)
    token: str
    began_at: int
    used_at: int
    expires_at: int
    renewable: bool


class Kept(BaseModel):
    """A form that was sent when the visit had ended.

    Attributes:
        action: where it went, a path of this desk with its query.
        back: the page that it was on.
        whose: the mark of whoever it was given to.
        fields: what was in it.
        sent_at: seconds since the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    back: str
    whose: str
    fields: tuple[tuple[str, str], ...] = Field(repr=False)
    sent_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """A visit that was found to be genuine and alive.

    Attributes:
        began_at, used_at, expires_at: seconds since the epoch; the last is the token's own end.
        renewable: signed in by name, so the token may be renewed from the staff file.
    """

    visit_id: str
    token: str
    caller: Caller
    began_at: int
    used_at: int
    expires_at: int
    renewable: bool

    @property
    def roles(self) -> frozenset[Role]:
        """What the member of staff may do."""
        return self.caller.roles


class Sessions:
    """Begins, checks, renews and ends visits of one region's desk.

    `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        keys: KeyRing,
        staff: StaffFile,
        verifier: Verifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._staff = staff
        self._verifier = verifier
        self._clock = clock
        self._secrets = [_signing_secret(keys)]
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def by_password(self, login: str, password: str) -> Session:
        """Begin a visit of a member of staff.

        Raises:
            WrongCredentials, TooManyAttempts, StaffError: see `StaffFile.verify_password`.
            Locked: the key that signs tokens is not loaded.
        """
        found = await self._staff.verify_password(login, password)
        return self._begin(self._issue(found), renewable=True)

    def by_token(self, token: str) -> Session:
        """Begin a visit with a token of this region that was given out elsewhere.

        Raises:
            Problem: it is not valid here and now.
        """
        return self._begin(token, renewable=False)

    def read(self, cookie: str | None) -> Session | None:
        """The visit that a cookie speaks of, used now; None if there is none (any more)."""
        content = self._opened(cookie)
        if content is None or content.visit_id in self._ended:
            return None
        now = int(self._clock())
        if not content.used_at - 60 <= now < content.used_at + self._settings.idle_s_max:
            return None
        if now >= content.began_at + self._settings.visit_s_max:
            return None
        try:
            caller = self._verifier.verify(content.token)
        except Problem:
            return None
        session = Session(
            content.visit_id,
            content.token,
            caller,
            content.began_at,
            now,
            content.expires_at,
            content.renewable,
        )
        return self._renewed(session, now)

    def cookie(self, session: Session) -> str:
        """The cookie that carries a visit on."""
        content = _Content(
            visit_id=session.visit_id,
            token=session.token,
            began_at=session.began_at,
            used_at=session.used_at,
            expires_at=session.expires_at,
            renewable=session.renewable,
        )
        text = content.model_dump_json().encode()
        return f"{text.hex()}.{self._mac(b'visit', text)}"

    def end(self, session: Session) -> None:
        """From now on the visit's cookie is worth nothing."""
        self._ended[session.visit_id] = None
        if len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)

    def proof(self, visit_id: str) -> str:
        """What every form of a visit carries, so that no other site can send it."""
        return self._mac(b"form", visit_id.encode())

    def proves(self, visit_id: str, proof: str) -> bool:
        """Whether a form was given out by this desk within this visit."""
        return self._is_mac(b"form", visit_id.encode(), proof)

    def mark(self, staff_id: UUID) -> str:
        """What forms carry to tell, once a visit ended, whether the same person signs in anew."""
        return self._mac(b"whose", str(staff_id).encode())

    def marks(self, staff_id: UUID, mark: str) -> bool:
        """Whether a form was given to this member of staff."""
        return self._is_mac(b"whose", str(staff_id).encode(), mark)

    def sealed(self, kept: Kept) -> str | None:
        """A form that came too late, for the browser to keep; None where it is too long for that.

        The desk keeps nothing itself, and whoever finds the browser cannot read it.
        """
        plain = kept.model_dump_json().encode()
        if len(plain) > _KEPT_BYTES_MAX:
            return None
        box = encrypt(_kept_key(self._current()[0]), plain, _KEPT)
        return base64.urlsafe_b64encode(box).decode()

    def unsealed(self, text: str) -> Kept | None:
        """The form in what `sealed` gave; None where it is not that, or too old."""
        try:
            box = base64.urlsafe_b64decode(text)
        except ValueError:
            return None
        for secret in self._current():
            try:
                kept = Kept.model_validate_json(decrypt(_kept_key(secret), box, _KEPT))
            except (DecryptionFailed, ValidationError):
                continue
            return kept if self._clock() < kept.sent_at + KEPT_S else None
        return None

    def keeping(
        self, action: str, back: str, whose: str, fields: Sequence[tuple[str, str]]
    ) -> Kept:
        """A form that came just now, without anybody being signed in."""
        return Kept(
            action=action,
            back=back,
            whose=whose,
            fields=tuple(fields),
            sent_at=int(self._clock()),
        )

    def _begin(self, token: str, *, renewable: bool) -> Session:
        now = int(self._clock())
        caller = self._verifier.verify(token)
        expires_at = now + self._settings.token_s if renewable else now + self._settings.visit_s_max
        return Session(secrets.token_urlsafe(24), token, caller, now, now, expires_at, renewable)

    def _issue(self, staff: Staff) -> str:
        return issue_token(
            self._keys.token_signer(),
            staff.staff_id,
            staff.roles,
            self._settings.region,
            datetime.fromtimestamp(self._clock(), UTC),
            self._settings.token_s,
        )

    def _renewed(self, session: Session, now: int) -> Session | None:
        """The session with a fresh token once half of its time is over; None if staff no more."""
        if not session.renewable or now < session.expires_at - self._settings.token_s // 2:
            return session
        try:
            staff = self._staff.find(session.caller.staff_id)
            if staff is None:
                return None
            token = self._issue(staff)
        except (Locked, StaffError):
            return session  # goes on until its token runs out
        return replace(
            session,
            token=token,
            caller=self._verifier.verify(token),
            expires_at=now + self._settings.token_s,
        )

    def _opened(self, cookie: str | None) -> _Content | None:
        if not cookie or len(cookie) > _COOKIE_CHARS_MAX:
            return None
        encoded, _, mac = cookie.partition(".")
        try:
            text = bytes.fromhex(encoded)
        except ValueError:
            return None
        if not self._is_mac(b"visit", text, mac):
            return None
        try:
            return _Content.model_validate_json(text)
        except ValidationError:
            return None

    def _mac(self, purpose: bytes, text: bytes) -> str:
        return _mac(self._current()[0], purpose, text)

    def _is_mac(self, purpose: bytes, text: bytes, mac: str) -> bool:
        return any(
            hmac.compare_digest(_mac(secret, purpose, text).encode(), mac.encode())
            for secret in self._current()
        )

    def _current(self) -> list[bytes]:
        """The secret in use and the one before: who visits when the key is replaced goes on."""
        try:
            newest = _derived(self._keys)
        except Locked:
            return self._secrets
        if newest != self._secrets[0]:
            self._secrets = [newest, self._secrets[0]]
        return self._secrets


def _mac(secret: bytes, purpose: bytes, text: bytes) -> str:
    return hashlib.blake2b(text, key=secret, digest_size=_MAC_BYTES, person=purpose).hexdigest()


def _kept_key(secret: bytes) -> SecretKey:
    return SecretKey(hashlib.blake2b(secret, digest_size=32, person=b"desk kept form").digest())


def _derived(keys: KeyRing) -> bytes:
    raw = keys.token_signer().private_bytes_raw()
    return hashlib.blake2b(raw, digest_size=32, person=b"desk cookies").digest()


def _signing_secret(keys: KeyRing) -> bytes:
    """Derived from the region's signing key, so that visits outlive a restart of the desk.

    Without that key nobody signs in by name, and a random secret will do.
    """
    try:
        return _derived(keys)
    except Locked:
        return secrets.token_bytes(32)
