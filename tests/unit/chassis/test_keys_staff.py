"""The staff file: passwords verified at equal cost, attempts bounded, changes whole."""

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from aidmesh_chassis.auth import Role, Verifier, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.revoking import LOOK_S, REVOKED_FILE, Revocations
from aidmesh_chassis.staff import (
    Attempts,
    Staff,
    StaffError,
    StaffFile,
    TooManyAttempts,
    WrongCredentials,
)

PASSWORD = "long enough, пароль"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(tmp_path: Path, clock: Clock | None = None) -> StaffFile:
    return StaffFile(
        tmp_path / "keys" / "staff.jsonl",
        attempts=Attempts(clock or Clock()),
        passes=argon2id.OPSLIMIT_MIN,
        memory_bytes=argon2id.MEMLIMIT_MIN,
    )


async def test_sign_in(tmp_path: Path) -> None:
    staff = make(tmp_path)
    added = staff.add("Olena.K", PASSWORD, [Role.CASEWORKER, Role.LEAD])
    assert added.login == "olena.k"
    assert await staff.verify_password(" OLENA.k ", PASSWORD) == added
    assert make(tmp_path).all() == (added,)
    for name, password in (
        ("olena.k", PASSWORD + "x"),
        ("nobody", PASSWORD),
        ("olena.k", ""),
        ("olena.k", "x" * 10_000),
        ("\ud800", "\ud800"),
    ):
        with pytest.raises(WrongCredentials):
            await staff.verify_password(name, password)


async def test_the_file_keeps_no_password_and_is_private(tmp_path: Path) -> None:
    staff = make(tmp_path)
    added = staff.add("olena", PASSWORD, [Role.LEAD])
    path = tmp_path / "keys" / "staff.jsonl"
    assert PASSWORD not in path.read_text()
    assert "$argon2id$" in path.read_text()
    assert added.password_hash not in repr(added)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_disabled_staff_stay_out(tmp_path: Path) -> None:
    staff = make(tmp_path)
    added = staff.add("olena", PASSWORD, [Role.LEAD])
    staff.set_disabled("Olena", disabled=True)
    assert staff.find(added.staff_id) is None
    with pytest.raises(WrongCredentials):
        await staff.verify_password("olena", PASSWORD)
    staff.set_disabled("olena", disabled=False)
    staff.set_password("olena", PASSWORD * 2)
    staff.set_roles("olena", [Role.FINANCE])
    assert (await staff.verify_password("olena", PASSWORD * 2)).roles == {Role.FINANCE}
    assert staff.find(added.staff_id) is not None


def test_a_change_voids_what_was_given_out_before(tmp_path: Path) -> None:
    create_region_keys(tmp_path / "keys")
    keys = KeyRing(tmp_path / "keys", [TOKENS])
    staff = make(tmp_path)
    olena, taras = (staff.add(name, PASSWORD, [Role.LEAD]) for name in ("olena", "taras"))
    earlier = datetime.now(UTC) - timedelta(minutes=5)

    def token(of: Staff, at: datetime) -> str:
        return issue_token(keys.token_signer(), of.staff_id, [Role.LEAD], "kyiv", at, 3600)

    def refused(verifier: Verifier, what: str) -> bool:
        try:
            verifier.verify(what)
        except Problem as problem:
            return problem.kind.status == 401
        return False

    clock = Clock()
    revocations = Revocations(tmp_path / "keys" / REVOKED_FILE, clock)
    verifier = Verifier(keys.token_keys, "kyiv", revocations=revocations)
    assert not refused(verifier, token(olena, earlier))
    for change in (
        partial(staff.set_disabled, "olena", disabled=True),
        partial(staff.set_disabled, "olena", disabled=False),
        partial(staff.set_roles, "olena", [Role.FINANCE]),
        partial(staff.set_password, "olena", PASSWORD + "!"),
    ):
        (tmp_path / "keys" / REVOKED_FILE).unlink(missing_ok=True)
        change()
        clock.now += LOOK_S
        assert refused(verifier, token(olena, earlier))
        assert not refused(verifier, token(taras, earlier))
    # What is given out later holds; a file that can't be read changes nothing.
    later = datetime.now(UTC) + timedelta(seconds=2)
    assert not refused(verifier, token(olena, later))
    (tmp_path / "keys" / REVOKED_FILE).write_text("{")
    clock.now += LOOK_S
    assert refused(verifier, token(olena, earlier))
    assert not refused(verifier, token(olena, later))
    with pytest.raises(StaffError, match="damaged"):
        staff.set_disabled("taras", disabled=True)
    assert staff.find(taras.staff_id) is None


async def test_attempts_are_bounded_per_name(tmp_path: Path) -> None:
    clock = Clock()
    staff = make(tmp_path, clock)
    staff.add("olena", PASSWORD, [Role.LEAD])
    for name in ("olena", "nobody"):
        for _ in range(5):
            with pytest.raises(WrongCredentials):
                await staff.verify_password(name, "wrong password")
        with pytest.raises(TooManyAttempts) as many:
            await staff.verify_password(name, PASSWORD)
        assert many.value.retry_s == 60
    clock.now = 60.0
    await staff.verify_password("olena", PASSWORD)
    for _ in range(4):  # a success gives all attempts back
        with pytest.raises(WrongCredentials):
            await staff.verify_password("olena", "wrong password")
    await staff.verify_password("olena", PASSWORD)


def test_memory_of_attempts_is_bounded() -> None:
    attempts = Attempts(Clock())
    for number in range(10_100):
        attempts.take(f"name{number}")
    assert len(attempts._names) == 10_000


@pytest.mark.parametrize("login", ["", "x", "a b", "a" * 65, "ім'я", "../x", "a\nb", "ab\n"])
def test_logins_are_plain(tmp_path: Path, login: str) -> None:
    if login == "ab\n":  # trimmed
        assert make(tmp_path).add(login, PASSWORD, [Role.LEAD]).login == "ab"
        return
    with pytest.raises(StaffError):
        make(tmp_path).add(login, PASSWORD, [Role.LEAD])


def test_refusals(tmp_path: Path) -> None:
    staff = make(tmp_path)
    staff.add("olena", PASSWORD, [Role.LEAD])
    with pytest.raises(StaffError, match="taken"):
        staff.add("OLENA", PASSWORD, [Role.LEAD])
    with pytest.raises(StaffError, match="characters"):
        staff.add("taras", "short", [Role.LEAD])
    with pytest.raises(StaffError, match="role"):
        staff.add("taras", PASSWORD, [])
    with pytest.raises(StaffError, match="nobody"):
        staff.set_password("taras", PASSWORD)
    path = tmp_path / "keys" / "staff.jsonl"
    path.write_text(path.read_text() + '{"login": "kanarienvogel"}\n')
    with pytest.raises(StaffError, match="Line 2") as damaged:
        staff.all()
    assert "kanarienvogel" not in str(damaged.value)


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(make(tmp_path).add, f"name{number}", PASSWORD, [Role.LEAD])
            for number in range(20)
        ]
        for job in jobs:
            job.result()
    assert len({each.login for each in make(tmp_path).all()}) == 20


async def test_hashing_leaves_the_loop_free(tmp_path: Path) -> None:
    staff = make(tmp_path)
    staff.add("olena", PASSWORD, [Role.LEAD])
    found = await asyncio.gather(*(staff.verify_password("olena", PASSWORD) for _ in range(4)))
    assert {each.login for each in found} == {"olena"}
