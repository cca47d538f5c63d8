"""Replaces the keys that services seal to and sign with, by files, while the services run.

First the next keys are there beside those in use: services open what is sealed to them and accept
what is signed by them, before anybody does. Then they take the place of those in use. What was
sealed to a former key is opened by it for as long as its file is kept; a former key of tokens is
kept as a public one, until the last token that it signed has run out. All of it can be cut short
anywhere and begun again.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aidmesh_chassis.auth import LIFETIME_S_MAX
from aidmesh_chassis.crypto import SecretKey
from aidmesh_chassis.key_files import (
    INTAKE,
    INVENTORY,
    NEXT,
    NOTIFICATION,
    PAYMENTS,
    SIGNING,
    TOKENS,
    KeyFileError,
    WrongPassphrase,
    is_protected,
    key_id,
    public_of,
    read_public,
    read_raw,
    read_secret,
    replace_file,
    under_passphrase,
)

ROTATED: Final = (INTAKE, INVENTORY, NOTIFICATION, PAYMENTS, TOKENS)
FORMER_MAX: Final = 8
"""Former keys that one service opens with; each costs a second of unlocking."""


def protected(folder: Path) -> tuple[str, ...]:
    """Which of the keys that are rotated have a passphrase. Raises `KeyFileError`."""
    return tuple(name for name in ROTATED if is_protected(folder / f"{name}.key"))


def prepare(folder: Path, passphrase: str | None = None) -> None:
    """Write the next keys beside those in use; a key with a passphrase gets the same one.

    Raises:
        WrongPassphrase: it does not open the keys that have one; nothing was written.
        KeyFileError: a key is missing or damaged, or has too many former ones; as before.
    """
    for name in ROTATED:
        read_public(folder / f"{name}.pub")
        if is_protected(folder / f"{name}.key"):
            read_secret(folder / f"{name}.key", passphrase)
        kept, begun = former(folder)[name], (folder / f"{name}.{NEXT}.key").exists()
        if name not in SIGNING and not begun and len(kept) >= FORMER_MAX:
            raise KeyFileError(
                f"{name} has {len(kept)} former keys, which is all that may be; when nothing is "
                f"kept that was sealed to the oldest, put {name}.{kept[0]}.key and .pub elsewhere."
            )
    for name in ROTATED:
        secret, public = (folder / f"{name}.{NEXT}.{ending}" for ending in ("key", "pub"))
        if not secret.exists():
            raw = SecretKey.random().reveal()
            if is_protected(folder / f"{name}.key"):
                if passphrase is None:
                    raise WrongPassphrase(f"{name}.key needs its passphrase.")
                raw = under_passphrase(raw, passphrase)
            public.unlink(missing_ok=True)
            replace_file(secret, raw)
        if not public.exists():
            replace_file(public, public_of(name, read_secret(secret, passphrase)))


def switch(folder: Path) -> None:
    """Have the next keys take the place of those in use, which become former ones."""
    forget_tokens(folder, LIFETIME_S_MAX)
    for name in ROTATED:
        secret, public = folder / f"{name}.key", folder / f"{name}.pub"
        next_secret, next_public = (folder / f"{name}.{NEXT}.{end}" for end in ("key", "pub"))
        new, old = read_public(next_public), read_public(public)
        if new != old and name != INVENTORY:  # peers keep what its manifests are verified with
            if name not in SIGNING:
                replace_file(folder / f"{name}.{key_id(old)}.key", read_raw(secret))
            replace_file(folder / f"{name}.{key_id(old)}.pub", old)
        replace_file(public, new)
        replace_file(secret, read_raw(next_secret))
        next_public.unlink()
        next_secret.unlink()


def former(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """The ids of the former keys that are kept, by name, oldest first."""
    found: dict[str, tuple[str, ...]] = {}
    for name in ROTATED:
        paths = [
            path
            for path in folder.glob(f"{name}.*.pub")
            if path.stem != f"{name}.{NEXT}" and path.exists()
        ]
        paths.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        found[name] = tuple(path.stem.removeprefix(f"{name}.") for path in paths)
    return found


def forget_tokens(folder: Path, age_s: float = 0.0) -> tuple[str, ...]:
    """No longer accept tokens that former keys signed; returns the ids of these keys.

    Args:
        age_s: only of keys that were replaced so many seconds ago.
    """
    gone = []
    for each in former(folder)[TOKENS]:
        path = folder / f"{TOKENS}.{each}.pub"
        if path.stat().st_mtime + age_s <= time.time():
            path.unlink()
            gone.append(each)
    return tuple(gone)
