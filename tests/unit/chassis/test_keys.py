"""The keys folder: written once, never overwritten, locked until somebody unlocks."""

import stat
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from aidmesh_chassis.crypto import seal
from aidmesh_chassis.keys import (
    MASTER,
    NOTIFICATION,
    SECRETS,
    TOKENS,
    KeyFileError,
    KeyRing,
    Locked,
    WrongPassphrase,
    create_region_keys,
    is_protected,
    open_to_others,
    protect,
)

PASSPHRASE = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_region_keys(tmp_path / "keys")
    return tmp_path / "keys"


def protect_cheaply(folder: Path, name: str = MASTER) -> None:
    protect(
        folder / f"{name}.key",
        PASSPHRASE,
        passes=argon2id.OPSLIMIT_MIN,
        memory_bytes=argon2id.MEMLIMIT_MIN,
    )


def test_files_are_for_the_owner_only(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(path.name for path in folder.iterdir())
    assert files == [
        "intake.key", "intake.pub", "inventory.key", "inventory.pub", "master.key",
        "notification.key", "notification.pub", "payments.key", "payments.pub", "tokens.key",
        "tokens.pub",
    ]  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {path.stat().st_size for path in folder.iterdir()} == {32}
    assert open_to_others(folder) == ()
    (folder / "master.key").chmod(0o644)
    assert open_to_others(folder) == ("master.key",)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert create_region_keys(folder) == ()
    (folder / "tokens.pub").unlink()
    assert create_region_keys(folder) == (folder / "tokens.pub",)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "payments.key").unlink()
    with pytest.raises(KeyFileError, match=r"payments\.key"):
        create_region_keys(folder)


def test_a_ring_holds_what_its_service_asked_for(folder: Path) -> None:
    ring = KeyRing(folder, [NOTIFICATION])
    assert ring.missing == ()
    box = seal(KeyRing(folder).public(NOTIFICATION), b"card")
    assert ring.unseal(NOTIFICATION, box) == b"card"
    with pytest.raises(Locked):
        ring.master()
    signature = KeyRing(folder, [TOKENS]).token_signer().sign(b"x")
    KeyRing(folder).token_keys()[0].public.verify(signature, b"x")


def test_lock_and_unlock(folder: Path) -> None:
    ring = KeyRing(folder, SECRETS)
    assert not ring.missing
    held = ring.master().reveal()
    ring.opener(NOTIFICATION)
    ring.lock()
    assert set(ring.missing) == set(SECRETS)
    for ask in (
        ring.master,
        ring.token_signer,
        lambda: ring.opener(NOTIFICATION),
    ):
        with pytest.raises(Locked) as locked:
            ask()
        assert locked.value.kind.status == 423
        assert "aidmesh unlock" in locked.value.detail
    ring.public(NOTIFICATION)
    ring.unlock()
    assert not KeyRing(folder, SECRETS).missing
    assert ring.master().reveal() == held


def test_a_passphrase_keeps_the_service_locked(folder: Path) -> None:
    held = KeyRing(folder, [MASTER]).master().reveal()
    protect_cheaply(folder)
    assert is_protected(folder / "master.key")
    assert held not in (folder / "master.key").read_bytes()
    ring = KeyRing(folder, [MASTER, NOTIFICATION])
    assert ring.missing == (MASTER,)
    for wrong in (None, "", "correct horse batterz"):
        with pytest.raises(WrongPassphrase):
            ring.unlock(wrong)
    assert ring.missing == (MASTER,)
    ring.unlock(PASSPHRASE)
    assert ring.master().reveal() == held
    with pytest.raises(KeyFileError, match="plain"):
        protect_cheaply(folder)


def test_damage_is_noticed(folder: Path) -> None:
    path = folder / "master.key"
    with pytest.raises(ValueError, match="12"):
        protect(path, "short")
    protect_cheaply(folder)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:20], whole[:33] + b"\xff" * 4 + whole[37:]):
        path.write_bytes(broken)
        with pytest.raises((KeyFileError, WrongPassphrase)):
            KeyRing(folder, [MASTER]).unlock(PASSPHRASE)
    path.write_bytes(b"x" * 31)
    with pytest.raises(KeyFileError, match=r"master\.key"):
        KeyRing(folder, [MASTER])
    (folder / "tokens.pub").write_bytes(b"")
    with pytest.raises(KeyFileError, match=r"tokens\.pub"):
        KeyRing(folder).token_keys()


def test_a_missing_folder_means_locked(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "nowhere", [MASTER])
    assert ring.missing == (MASTER,)
    with pytest.raises(KeyFileError):
        ring.unlock()
    with pytest.raises(KeyFileError):
        ring.public(NOTIFICATION)
    with pytest.raises(ValueError, match="no key"):
        ring.public("../tokens")
