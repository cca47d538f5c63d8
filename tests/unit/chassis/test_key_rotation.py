"""Keys of services are replaced by files, and nothing that was sealed or signed before is lost."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.pwhash import argon2id

from aidmesh_chassis import key_files, key_rotation
from aidmesh_chassis.auth import LIFETIME_S_MAX, Role, Verifier, issue_token, verifier_of
from aidmesh_chassis.crypto import DecryptionFailed, PrivateKey, seal
from aidmesh_chassis.key_rotation import (
    FORMER_MAX,
    ROTATED,
    forget_tokens,
    former,
    prepare,
    protected,
    switch,
)
from aidmesh_chassis.keys import (
    INTAKE,
    INVENTORY,
    LOOK_S,
    MASTER,
    NOTIFICATION,
    PAYMENTS,
    SECRETS,
    TOKENS,
    KeyFileError,
    KeyRing,
    Locked,
    WrongPassphrase,
    create_region_keys,
    open_to_others,
    opens,
    protect,
)
from aidmesh_chassis.problems import Problem

PASSPHRASE = "correct horse battery"
CUTS = 28
"""Steps on the disk that the rotation of one that seals and one that signs takes."""

P = ParamSpec("P")
SEALED = (INTAKE, NOTIFICATION, PAYMENTS)


class Clock:
    """One that goes on by as much as a ring takes to look again, each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += LOOK_S
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_region_keys(tmp_path / "kyiv")
    return tmp_path / "kyiv"


def ring(folder: Path, *names: str) -> KeyRing:
    return KeyRing(folder, names or SECRETS, clock=Clock())


def rotate(folder: Path, passphrase: str | None = None) -> None:
    prepare(folder, passphrase)
    switch(folder)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases that cost little."""
    real = key_files.under_passphrase

    def under(raw: bytes, passphrase: str) -> bytes:
        return real(
            raw,
            passphrase,
            passes=argon2id.OPSLIMIT_MIN,
            memory_bytes=argon2id.MEMLIMIT_MIN,
        )

    monkeypatch.setattr(key_rotation, "under_passphrase", under)


def cover(folder: Path, *names: str) -> None:
    for name in names:
        protect(
            folder / f"{name}.key",
            PASSPHRASE,
            passes=argon2id.OPSLIMIT_MIN,
            memory_bytes=argon2id.MEMLIMIT_MIN,
        )


@pytest.mark.parametrize("name", SEALED)
def test_what_was_sealed_before_is_opened_by_who_runs_and_by_who_starts_anew(
    folder: Path, name: str
) -> None:
    running = ring(folder)
    boxes = []
    for _ in range(3):
        boxes.append(seal(running.public(name), b"card"))
        rotate(folder)
    boxes.append(seal(running.public(name), b"card"))
    assert running.public(name).raw == ring(folder).public(name).raw
    for each in (running, ring(folder)):
        assert [each.unseal(name, box) for box in boxes] == [b"card"] * 4
        assert each.opener(name)(boxes[0]) == b"card"
        assert each.missing == ()
        with pytest.raises(DecryptionFailed):
            each.unseal(name, seal(PrivateKey.random().public, b"card"))


def test_a_box_to_the_new_key_is_opened_at_once(folder: Path) -> None:
    """Also by a ring that has looked just now."""
    running = KeyRing(folder, [PAYMENTS], clock=lambda: 0.0)
    rotate(folder)
    box = seal(KeyRing(folder).public(PAYMENTS), b"payee")
    assert running.unseal(PAYMENTS, box) == b"payee"


def test_it_is_looked_at_the_folder_no_oftener_than_is_said(folder: Path) -> None:
    now = 0.0
    running = KeyRing(folder, [PAYMENTS], clock=lambda: now)
    before = running.public(PAYMENTS)
    rotate(folder)
    now = LOOK_S * 0.9
    assert running.public(PAYMENTS) == before
    now = LOOK_S
    assert running.public(PAYMENTS) == KeyRing(folder).public(PAYMENTS) != before


def test_a_key_that_signs_leaves_no_former_secret(folder: Path) -> None:
    stolen = {name: (folder / f"{name}.key").read_bytes() for name in (INVENTORY, TOKENS)}
    rotate(folder)
    held = [path.read_bytes() for path in folder.glob("*.key")]
    assert not set(stolen.values()) & set(held)
    assert former(folder)[INVENTORY] == ()
    running = ring(folder)
    signature = running.signer(INVENTORY).sign(b"x")
    Ed25519PrivateKey.from_private_bytes(
        (folder / "inventory.key").read_bytes()
    ).public_key().verify(signature, b"x")
    assert open_to_others(folder) == ()


@pytest.mark.parametrize("cut_after", range(1, CUTS + 2))
def test_cut_short_anywhere_all_is_opened_and_it_can_be_done_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    box = seal(ring(folder).public(PAYMENTS), b"payee")
    token = issued(folder)
    left = cut_after

    def counted(real: Callable[P, None]) -> Callable[P, None]:
        def does(*args: P.args, **kwargs: P.kwargs) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            real(*args, **kwargs)

        return does

    monkeypatch.setattr(key_rotation, "ROTATED", (PAYMENTS, TOKENS))
    with monkeypatch.context() as patched:
        patched.setattr(key_rotation, "replace_file", counted(key_files.replace_file))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        try:
            rotate(folder)
        except KeyboardInterrupt:
            assert left == 0
        assert (left > 0) == (cut_after > CUTS)
    for _ in range(2):
        keys = ring(folder)
        assert keys.missing == ()
        assert keys.unseal(PAYMENTS, box) == b"payee"
        assert keys.unseal(PAYMENTS, seal(keys.public(PAYMENTS), b"new")) == b"new"
        verifier = verifier_of(keys, "kyiv")
        verifier.verify(token)
        verifier.verify(issued(folder))
        rotate(folder)
    assert list(folder.glob("*.next.*")) == []


def issued(folder: Path, age: timedelta = timedelta(0)) -> str:
    signer = KeyRing(folder, [TOKENS]).token_signer()
    now = datetime.now(UTC) - age
    return issue_token(signer, uuid4(), [Role.LEAD], "kyiv", now, LIFETIME_S_MAX)


def refused(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except Problem:
        return True
    return False


def test_tokens_of_the_former_key_count_until_they_run_out(folder: Path) -> None:
    verifier = verifier_of(ring(folder), "kyiv")
    before = issued(folder)
    verifier.verify(before)
    stolen = KeyRing(folder, [TOKENS]).token_signer()
    rotate(folder)
    assert not refused(verifier, before)
    assert not refused(verifier, issued(folder))
    (old,) = former(folder)[TOKENS]
    # An hour later: whoever stole the former key signs nothing that is of now.
    hour_ago = datetime.now(UTC).timestamp() - 3600
    os.utime(folder / f"tokens.{old}.pub", (hour_ago, hour_ago))
    forged = issue_token(stolen, uuid4(), [Role.LEAD], "kyiv", datetime.now(UTC), 60)
    assert refused(verifier, forged)
    assert refused(verifier, before)  # it says that it was signed after the key was replaced


def test_finishing_forgets_the_former_key_of_tokens_alone(folder: Path) -> None:
    verifier = verifier_of(ring(folder), "kyiv")
    before = issued(folder)
    box = seal(ring(folder).public(PAYMENTS), b"payee")
    rotate(folder)
    verifier.verify(before)
    assert len(forget_tokens(folder)) == 1
    assert refused(verifier, before)
    assert not refused(verifier, issued(folder))
    assert ring(folder).unseal(PAYMENTS, box) == b"payee"


def test_a_later_rotation_forgets_what_has_run_out(folder: Path) -> None:
    rotate(folder)
    (first,) = former(folder)[TOKENS]
    rotate(folder)
    assert first in former(folder)[TOKENS]
    long_ago = datetime.now(UTC).timestamp() - LIFETIME_S_MAX - 1
    os.utime(folder / f"tokens.{first}.pub", (long_ago, long_ago))
    rotate(folder)
    assert first not in former(folder)[TOKENS]
    assert len(former(folder)[TOKENS]) == 2


@pytest.mark.usefixtures("cheap")
def test_keys_with_a_passphrase_get_the_same_one(folder: Path) -> None:
    cover(folder, MASTER, NOTIFICATION, PAYMENTS)
    assert protected(folder) == (NOTIFICATION, PAYMENTS)
    running = ring(folder)
    running.unlock(PASSPHRASE)
    box = seal(running.public(PAYMENTS), b"payee")
    names = sorted(path.name for path in folder.iterdir())
    for wrong in (None, "another passphrase"):
        with pytest.raises(WrongPassphrase):
            prepare(folder, wrong)
    assert sorted(path.name for path in folder.iterdir()) == names
    prepare(folder, PASSPHRASE)
    assert running.missing == ()  # nothing is sealed to the next key yet
    running.unlock(PASSPHRASE)
    switch(folder)
    assert running.missing == ()
    fresh = seal(running.public(PAYMENTS), b"new")
    assert [running.unseal(PAYMENTS, each) for each in (box, fresh)] == [b"payee", b"new"]
    (old,) = former(folder)[PAYMENTS]
    assert opens(folder / f"payments.{old}.key", PASSPHRASE)

    anew = ring(folder)
    assert set(anew.missing) == {MASTER, NOTIFICATION, PAYMENTS}
    anew.unlock(PASSPHRASE)
    assert [anew.unseal(PAYMENTS, each) for each in (box, fresh)] == [b"payee", b"new"]
    anew.lock()
    with pytest.raises(Locked):
        anew.unseal(PAYMENTS, box)


@pytest.mark.usefixtures("cheap")
def test_who_was_not_told_the_passphrase_waits_and_loses_nothing(folder: Path) -> None:
    cover(folder, PAYMENTS)
    running = ring(folder, PAYMENTS)
    running.unlock(PASSPHRASE)
    box = seal(running.public(PAYMENTS), b"payee")
    rotate(folder, PASSPHRASE)
    assert running.missing == (PAYMENTS,)
    assert running.unseal(PAYMENTS, box) == b"payee"
    fresh = seal(running.public(PAYMENTS), b"new")
    with pytest.raises(Locked):
        running.unseal(PAYMENTS, fresh)
    running.unlock(PASSPHRASE)
    assert running.unseal(PAYMENTS, fresh) == b"new"


def test_a_locked_ring_stays_locked(folder: Path) -> None:
    running = ring(folder)
    box = seal(running.public(PAYMENTS), b"payee")
    running.lock()
    rotate(folder)
    with pytest.raises(Locked):
        running.unseal(PAYMENTS, box)
    assert set(running.missing) == set(SECRETS)
    running.unlock()
    assert running.unseal(PAYMENTS, box) == b"payee"
    assert running.missing == ()


def test_a_master_key_is_never_taken_up(folder: Path) -> None:
    running = ring(folder)
    held = running.master().reveal()
    (folder / "master.key").write_bytes(os.urandom(32))
    rotate(folder)
    assert running.master().reveal() == held


def test_what_runs_keeps_its_keys_when_the_folder_is_taken_away(folder: Path) -> None:
    running = ring(folder)
    box = seal(running.public(PAYMENTS), b"payee")
    folder.rename(folder.with_name("away"))
    assert running.unseal(PAYMENTS, box) == b"payee"
    assert running.missing == ()


def test_a_damaged_file_changes_nothing_for_who_runs(folder: Path) -> None:
    running = ring(folder)
    box = seal(running.public(PAYMENTS), b"payee")
    (folder / "payments.key").write_bytes(b"x")
    for _ in range(3):
        assert running.unseal(PAYMENTS, box) == b"payee"
    with pytest.raises(KeyFileError, match=r"payments\.key"):
        ring(folder)


def test_former_keys_are_bounded_and_none_is_lost_without_being_asked(folder: Path) -> None:
    first = seal(ring(folder).public(PAYMENTS), b"payee")
    for _ in range(FORMER_MAX):
        rotate(folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(KeyFileError, match=former(folder)[INTAKE][0]):
        rotate(folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    running = ring(folder)
    assert running.unseal(PAYMENTS, first) == b"payee"
    for name in SEALED:
        oldest = former(folder)[name][0]
        for ending in ("key", "pub"):
            (folder / f"{name}.{oldest}.{ending}").unlink()
    rotate(folder)
    with pytest.raises(DecryptionFailed):
        running.unseal(PAYMENTS, first)
    assert running.missing == ()


def test_an_older_folder_is_named(folder: Path) -> None:
    (folder / "inventory.key").unlink()
    (folder / "inventory.pub").unlink()
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(KeyFileError, match="inventory"):
        prepare(folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    create_region_keys(folder)
    rotate(folder)
    assert set(former(folder)) == set(ROTATED)
