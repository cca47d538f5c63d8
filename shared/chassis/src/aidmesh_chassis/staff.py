"""The region's own staff file: who may sign in, kept beside the keys.

One JSON object per line, written whole and swapped in, so a crash leaves the old or the new
file. Passwords are kept as Argon2id hashes (RFC 9106); a wrong password and an unknown name
cost the same and answer the same. Attempts are bounded per name, in memory.
"""

import asyncio
import fcntl
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID, uuid4

from nacl.exceptions import InvalidkeyError
from nacl.pwhash import argon2id
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from aidmesh_chassis.auth import LIFETIME_S_MAX, Role
from aidmesh_chassis.revoking import REVOKED_FILE, revoke

PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 256
ATTEMPTS_MAX: Final = 5
REFILL_S: Final = 60.0
"""After `ATTEMPTS_MAX` attempts in a row, one more each `REFILL_S` seconds."""
_NAMES_MAX: Final = 10_000
_HASHING_MAX: Final = 2  # each takes 64 MiB for a moment

Login = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{1,63}$"
    ),
]


class Staff(BaseModel):
    """One member of staff as the file keeps them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    staff_id: UUID
    login: Login
    password_hash: Annotated[str, Field(repr=False, max_length=256)]
    roles: frozenset[Role]
    disabled: bool = False


class WrongCredentials(Exception):
    """The name is unknown, the password wrong, or the member of staff disabled."""


class TooManyAttempts(Exception):
    """Too many attempts under one name; worth trying again after `retry_s` seconds."""

    def __init__(self, retry_s: int) -> None:
        super().__init__("too many attempts")
        self.retry_s = retry_s


class StaffError(Exception):
    """A change that the staff file does not allow, or a file that cannot be read."""


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float


class Attempts:
    """How often a name may still be tried: a bucket per name, in bounded memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[str, _Allowance] = OrderedDict()

    def take(self, name: str) -> None:
        """Use up one attempt. Raises `TooManyAttempts`."""
        now = self._clock()
        found = self._names.pop(name, None) or _Allowance(ATTEMPTS_MAX, now)
        found.left = min(ATTEMPTS_MAX, found.left + (now - found.at) / REFILL_S)
        found.at = now
        self._names[name] = found
        if len(self._names) > _NAMES_MAX:
            self._names.popitem(last=False)
        if found.left < 1:
            raise TooManyAttempts(math.ceil((1 - found.left) * REFILL_S))
        found.left -= 1

    def forget(self, name: str) -> None:
        """A success: the name has all its attempts again."""
        self._names.pop(name, None)


class StaffFile:
    """The staff of one region.

    `passes` and `memory_bytes` are the cost of hashing; the defaults take about a tenth of a
    second and 64 MiB.
    """

    def __init__(
        self,
        path: Path,
        *,
        attempts: Attempts | None = None,
        passes: int = argon2id.OPSLIMIT_INTERACTIVE,
        memory_bytes: int = argon2id.MEMLIMIT_INTERACTIVE,
    ) -> None:
        self._path = path
        self._attempts = attempts or Attempts()
        self._passes = passes
        self._memory_bytes = memory_bytes
        self._hashing = asyncio.Semaphore(_HASHING_MAX)

    def all(self) -> tuple[Staff, ...]:
        """Everybody, in the order they were added. Raises `StaffError`."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        found: list[Staff] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found.append(Staff.model_validate_json(line))
            except ValidationError:
                raise StaffError(f"Line {number} of {self._path.name} is damaged.") from None
        return tuple(found)

    def find(self, staff_id: UUID) -> Staff | None:
        """A member of staff who may sign in now, for renewing what they were given."""
        return next(
            (each for each in self.all() if each.staff_id == staff_id and not each.disabled), None
        )

    def add(self, login: str, password: str, roles: Iterable[Role]) -> Staff:
        """Add a member of staff. Raises `StaffError` for a name taken or not acceptable."""
        wanted = frozenset(Role(role) for role in roles)
        if not wanted:
            raise StaffError("At least one role is needed.")
        hashed = self._hash(password)
        try:
            added = Staff(staff_id=uuid4(), login=login, password_hash=hashed, roles=wanted)
        except ValidationError:
            raise StaffError(
                "A login has 2 to 64 letters, digits, dots, hyphens and underscores."
            ) from None
        with self._changing() as staff:
            if any(each.login == added.login for each in staff):
                raise StaffError("This login is taken.")
            staff.append(added)
        return added

    def set_password(self, login: str, password: str) -> None:
        """Give a member of staff another password. Raises `StaffError`."""
        self._change(login, password_hash=self._hash(password))

    def set_roles(self, login: str, roles: Iterable[Role]) -> None:
        """Give a member of staff other roles. Raises `StaffError`."""
        wanted = frozenset(Role(role) for role in roles)
        if not wanted:
            raise StaffError("At least one role is needed.")
        self._change(login, roles=wanted)

    def set_disabled(self, login: str, *, disabled: bool) -> None:
        """Stop a member of staff from signing in, or let them again. Raises `StaffError`."""
        self._change(login, disabled=disabled)

    async def verify_password(self, login: str, password: str) -> Staff:
        """Who signs in with this name and password.

        Raises `WrongCredentials`, or `TooManyAttempts` before any password is looked at.
        """
        name = login.strip().lower()[:64]
        self._attempts.take(name)
        async with self._hashing:
            return await asyncio.to_thread(self._verify, name, password)

    def _verify(self, name: str, password: str) -> Staff:
        found = next((each for each in self.all() if each.login == name), None)
        # The same work for a name that does not exist, the first time too.
        unknown = self._dummy_hash
        hashed = unknown if found is None else found.password_hash.encode()
        try:
            argon2id.verify(hashed, _bytes_of(password[:PASSWORD_CHARS_MAX]))
        except InvalidkeyError:
            raise WrongCredentials from None
        if found is None or found.disabled or len(password) > PASSWORD_CHARS_MAX:
            raise WrongCredentials
        self._attempts.forget(name)
        return found

    @cached_property
    def _dummy_hash(self) -> bytes:
        return self._hash(os.urandom(16).hex()).encode()

    def _hash(self, password: str) -> str:
        if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
            raise StaffError(
                f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters."
            )
        return argon2id.str(
            _bytes_of(password), opslimit=self._passes, memlimit=self._memory_bytes
        ).decode()

    def _change(self, login: str, **changes: object) -> None:
        """Change a member of staff; what they were given before ends at once."""
        with self._changing() as staff:
            for index, each in enumerate(staff):
                if each.login == login.strip().lower():
                    staff[index] = each.model_copy(update=changes)
                    break
            else:
                raise StaffError("There is nobody of this login.")
        # Afterwards: a visit renewed in between has a token that is void too.
        with self._alone():
            path = self._path.with_name(REVOKED_FILE)
            try:
                revoke(path, staff[index].staff_id, int(time.time()), LIFETIME_S_MAX)
            except ValueError:
                raise StaffError(
                    f"{path.name} is damaged; tokens given out are not void."
                ) from None

    @contextmanager
    def _changing(self) -> Iterator[list[Staff]]:
        """The staff as a list to change; written back when the block ends well."""
        with self._alone():
            staff = list(self.all())
            yield staff
            part = self._path.with_suffix(".part")
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(each.model_dump_json() + "\n" for each in staff)
                file.flush()
                os.fsync(descriptor)
            part.replace(self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the files of this folder."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _bytes_of(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
