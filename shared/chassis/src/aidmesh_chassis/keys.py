"""The keys of a service, loaded from a keys folder (see key_files).

A service asks for the secrets it needs. If one is not there, or protected by a passphrase that
nobody has given yet, the service is locked: it runs and does all that needs no personal data.
Files that are replaced are taken up within a second of their use; a master key never is.
Python cannot promise to overwrite memory: `lock` lets go of the keys, and they are gone when
their memory is used again.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aidmesh_chassis.crypto import DecryptionFailed, MasterKey, PrivateKey, PublicKey, unseal
from aidmesh_chassis.key_files import (
    INTAKE,
    INVENTORY,
    MASTER,
    NEXT,
    NOTIFICATION,
    PASSPHRASE_CHARS_MIN,
    PAYMENTS,
    PUBLICS,
    SECRETS,
    TOKENS,
    KeyFileError,
    WrongPassphrase,
    create_region_keys,
    is_protected,
    key_id,
    open_to_others,
    opens,
    protect,
    public_of,
    read_public,
    read_secret,
    secret_files,
)
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.problems import LOCKED, Problem

__all__ = [
    "INTAKE",
    "INVENTORY",
    "MASTER",
    "NOTIFICATION",
    "PASSPHRASE_CHARS_MIN",
    "PAYMENTS",
    "PUBLICS",
    "SECRETS",
    "TOKENS",
    "KeyFileError",
    "KeyRing",
    "Locked",
    "TokenKey",
    "WrongPassphrase",
    "create_region_keys",
    "is_protected",
    "open_to_others",
    "opens",
    "protect",
]

log = get_logger()

LOOK_S: Final = 1.0
"""How old what a ring knows of its files may be, seconds."""


class Locked(Problem):
    """A secret key is not loaded; the answer is 423 and says what to do."""

    def __init__(self, key: str) -> None:
        super().__init__(LOCKED, key=key)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key that tokens are verified with, and until when it signed: epoch seconds, None for now.

    Nothing that is said to be signed later counts. Since no token lives longer than twelve hours,
    a former key is worth nothing after these, also to whoever stole it.
    """

    public: Ed25519PublicKey
    until: float | None = None


class KeyRing:
    """The keys that one service needs.

    `secrets` are the names of the secret keys it works with; public keys are read on demand.
    Begins with whatever can be had without a passphrase, and takes up what is replaced while it
    runs: a key that has a passphrase with the next `unlock`.
    """

    def __init__(
        self,
        folder: Path,
        secrets: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._wanted = tuple(secrets)
        self._clock = clock
        self._held: dict[str, dict[str, bytes]] = {name: {} for name in self._wanted}
        self._ids: dict[str, set[str]] = {}
        self._privates: dict[bytes, PrivateKey] = {}
        self._publics: dict[str, bytes] = {}
        self._tokens: tuple[TokenKey, ...] = ()
        self._locked = False
        self._seen: tuple[object, ...] = ()
        self._unreadable: tuple[object, ...] = ()
        self._looks_at = 0.0
        self._look(begins=True)
        if self.missing:
            log.warning("keys.locked", keys=sorted(self.missing))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of the secret keys that this service works with."""
        return self._wanted

    @property
    def missing(self) -> tuple[str, ...]:
        """The secret keys that are wanted and not (all) loaded; empty when unlocked."""
        self._look()
        return tuple(
            name
            for name in self._wanted
            if not self._held[name] or self._ids.get(name, set()) - self._held[name].keys()
        )

    def lock(self) -> None:
        """Let go of every secret key, until `unlock`."""
        self._locked = True
        for held in self._held.values():
            held.clear()
        self._privates.clear()
        if self._wanted:
            log.warning("keys.locked", keys=sorted(self._wanted))

    def unlock(self, passphrase: str | None = None) -> None:
        """Load every wanted secret key, former ones too, all or none.

        Deriving a key takes about a second and much memory: call it in a thread.

        Raises `WrongPassphrase` or `KeyFileError`; what was loaded before stays.
        """
        found = {
            name: dict(
                _identified(name, read_secret(path, passphrase))
                for path in secret_files(self.folder, name)
            )
            for name in self._wanted
        }
        for name, held in found.items():
            self._held[name].update(held)
        self._locked = False
        self._look(now=True)
        if found:
            log.info("keys.unlocked", keys=sorted(found))

    def master(self) -> MasterKey:
        """The key that wraps people's keys. Raises `Locked`."""
        return MasterKey(self._secret(MASTER))

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What was sealed to `name`, to a former key of its too.

        Raises:
            Locked: no key is loaded that opens it, and one that may is not loaded.
            DecryptionFailed: it is damaged, or sealed to nobody here.
        """
        self._look()
        if not self._held.get(name):
            raise Locked(name)
        tried: set[bytes] = set()
        for now in (False, True):
            self._look(now=now)
            for raw in self._newest_first(name):
                if raw not in tried:
                    tried.add(raw)
                    try:
                        return unseal(self._private(raw), sealed)
                    except DecryptionFailed:
                        continue
        if name in self.missing:
            raise Locked(name)
        raise DecryptionFailed

    def opener(self, name: str) -> Callable[[bytes], bytes]:
        """`unseal` of `name`, for a batch. Raises `Locked` at once if no key is loaded."""
        self._look()
        if not self._held.get(name):
            raise Locked(name)
        return partial(self.unseal, name)

    def token_signer(self) -> Ed25519PrivateKey:
        """The key that signs tokens. Raises `Locked`."""
        return self.signer(TOKENS)

    def signer(self, name: str) -> Ed25519PrivateKey:
        """The key that signs for `name`. Raises `Locked`."""
        return Ed25519PrivateKey.from_private_bytes(self._secret(name))

    def public(self, name: str) -> PublicKey:
        """The public key of `name`: to seal to it, or to tell others. Raises `KeyFileError`."""
        self._look()
        return PublicKey(self._public(name))

    def token_keys(self) -> tuple[TokenKey, ...]:
        """All keys that tokens are verified with, the one in use first. Raises `KeyFileError`."""
        self._look()
        if not self._tokens:
            self._tokens = _token_keys(self.folder)
        return self._tokens

    def _secret(self, name: str) -> bytes:
        self._look()
        held = self._held.get(name, {})
        if name == MASTER:
            current = MASTER
        else:
            try:
                current = key_id(self._public(name))
            except KeyFileError:  # a folder of secret keys alone
                current = next(reversed(held), "")
        try:
            return held[current]
        except KeyError:
            raise Locked(name) from None

    def _newest_first(self, name: str) -> list[bytes]:
        held = dict(self._held[name])
        try:
            newest = held.pop(key_id(self._public(name)), None)
        except KeyFileError:
            newest = None
        return [*([] if newest is None else [newest]), *held.values()]

    def _private(self, raw: bytes) -> PrivateKey:
        found = self._privates.get(raw)
        if found is None:
            found = self._privates[raw] = PrivateKey(raw)
        return found

    def _public(self, name: str) -> bytes:
        if name not in self._publics:
            self._publics[name] = read_public(self._path(name, "pub"))
        return self._publics[name]

    def _look(self, *, now: bool = False, begins: bool = False) -> None:
        """Take up what was changed in the folder; what can't be read stays as it is loaded."""
        clock = self._clock()
        if not (now or begins) and clock < self._looks_at:
            return
        self._looks_at = clock + LOOK_S
        seen = _generation(self.folder)
        if not seen or seen == self._seen:
            return
        try:
            self._take_up()
        except (KeyFileError, OSError):
            if begins:
                raise
            if seen != self._unreadable:  # perhaps a file went in between; look once more
                self._unreadable = seen
                return
            log.warning("keys.unreadable")
        self._seen = seen

    def _take_up(self) -> None:
        publics = {
            name: read_public(path) if (path := self._path(name, "pub")).exists() else held
            for name, held in self._publics.items()
        }
        for name, held in self._held.items():
            paths = [path for path in secret_files(self.folder, name) if path.exists()]
            if not self._locked and not (name == MASTER and held):
                held.update(
                    _identified(name, read_secret(path, None))
                    for path in paths
                    if not is_protected(path)
                )
            if name == MASTER or not (current := self._path(name, "pub")).exists():
                continue
            known = {
                path.stem: key_id(read_public(path))
                for path in (current, *self.folder.glob(f"{name}.*.pub"))
            }
            kept = {known[stem] for stem in (name, *(path.stem for path in paths)) if stem in known}
            for each in set(held) - kept:
                del held[each]
            self._ids[name] = (kept - {known.get(f"{name}.{NEXT}", "")}) | {known[name]}
        if self._tokens:
            self._tokens = _token_keys(self.folder)
        self._publics = publics
        self._privates.clear()

    def _path(self, name: str, ending: str) -> Path:
        if name not in SECRETS:
            raise ValueError(f"There is no key called {name}.")
        return self.folder / f"{name}.{ending}"


def _identified(name: str, raw: bytes) -> tuple[str, bytes]:
    return (MASTER if name == MASTER else key_id(public_of(name, raw)), raw)


def _token_keys(folder: Path) -> tuple[TokenKey, ...]:
    current = folder / f"{TOKENS}.pub"
    found = [TokenKey(Ed25519PublicKey.from_public_bytes(read_public(current)))]
    for path in sorted(folder.glob(f"{TOKENS}.*.pub")):
        until = None if path.stem == f"{TOKENS}.{NEXT}" else path.stat().st_mtime
        found.append(TokenKey(Ed25519PublicKey.from_public_bytes(read_public(path)), until))
    return tuple(found)


def _generation(folder: Path) -> tuple[object, ...]:
    """Another one when a key file is; empty if it can't be said now."""
    try:
        found = [
            (path.name, status.st_mtime_ns, status.st_size, status.st_ino)
            for path in folder.iterdir()
            if path.suffix in (".key", ".pub")
            for status in (path.stat(),)
        ]
    except OSError:
        return ()
    return tuple(sorted(found))
