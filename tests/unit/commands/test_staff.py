"""`aidmesh staff` and `aidmesh keys protect`, as an operator types them."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from nacl.pwhash import argon2id

from aidmesh.__main__ import build
from aidmesh_chassis.auth import Role, verifier_of
from aidmesh_chassis.key_files import change_passphrase, protect
from aidmesh_chassis.keys import MASTER, NOTIFICATION, PAYMENTS, TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.staff import StaffFile, WrongCredentials
from aidmesh_console.app import STAFF_FILE

PASSWORD = "сім слів на папірці"
OTHER = "вісім інших слів на папірці"
Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_region_keys(tmp_path / "kyiv")
    return tmp_path


@pytest.fixture
def typed(keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command, with what standard input holds: exit code, output, errors."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            build()([*arguments, "--keys", str(keys), "--region", "kyiv"])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def staff_of(keys: Path) -> StaffFile:
    return StaffFile(keys / "kyiv" / STAFF_FILE)


async def test_a_member_of_staff_from_first_to_last_day(typed: Type, keys: Path) -> None:
    code, out, _ = typed("staff", "add", "Anna", "--roles", "lead,caseworker", stdin=PASSWORD)
    assert (code, out) == (0, "Anna may sign in as caseworker, lead\n")
    anna = await staff_of(keys).verify_password("anna", PASSWORD)

    code, out, _ = typed("staff", "list")
    assert (code, out) == (0, f"anna  {anna.staff_id}  caseworker, lead\n")

    assert typed("staff", "roles", "anna", "oncall")[0] == 0
    assert typed("staff", "password", "anna", stdin="another password\n")[0] == 0
    changed = await staff_of(keys).verify_password("anna", "another password")
    assert (changed.staff_id, set(changed.roles)) == (anna.staff_id, {"oncall"})

    assert typed("staff", "disable", "anna")[0] == 0
    assert "disabled" in typed("staff", "list")[1]
    with pytest.raises(WrongCredentials):
        await staff_of(keys).verify_password("anna", "another password")
    assert typed("staff", "enable", "anna")[0] == 0
    await staff_of(keys).verify_password("anna", "another password")


async def test_a_password_that_was_made_up_is_shown_once(typed: Type, keys: Path) -> None:
    code, out, _ = typed("staff", "add", "anna", "--roles", "lead", "--generate")
    assert code == 0
    shown = re.search(r"password: ([a-z2-9]{4}(-[a-z2-9]{4}){4})\n", out)
    assert shown
    await staff_of(keys).verify_password("anna", shown[1])
    assert shown[1] not in (keys / "kyiv" / STAFF_FILE).read_text(encoding="utf-8")
    assert shown[1] not in typed("staff", "list")[1]


async def test_a_program_acts_in_somebodys_name_for_a_while(typed: Type, keys: Path) -> None:
    typed("staff", "add", "anna", "--roles", "lead", stdin=PASSWORD)
    anna = await staff_of(keys).verify_password("anna", PASSWORD)
    code, out, _ = typed("staff", "token", "Anna", "--minutes", "5")
    assert code == 0
    verifier = verifier_of(KeyRing(keys / "kyiv"), "kyiv")
    caller = verifier.verify(out.strip())
    assert (caller.staff_id, set(caller.roles)) == (anna.staff_id, {Role.LEAD})
    told = jwt.decode(out.strip(), options={"verify_signature": False})
    assert told["exp"] - told["iat"] == 300
    for refused in (["anna", "--minutes", "721"], ["olena"]):
        code, out, _ = typed("staff", "token", *refused)
        assert (code != 0, out) == (True, "")
    typed("staff", "disable", "anna")
    code, out, said = typed("staff", "token", "anna")
    assert (code != 0, out) == (True, "")
    assert "nobody" in said


@pytest.mark.parametrize(
    ("arguments", "stdin", "reason"),
    [
        (("staff", "add", "anna", "--roles", "boss"), PASSWORD, "roles are caseworker"),
        (("staff", "add", "anna", "--roles", ""), PASSWORD, "At least one role"),
        (("staff", "add", "a b", "--roles", "lead"), PASSWORD, "A login has"),
        (("staff", "add", "anna", "--roles", "lead"), "short", "12 to 256"),
        (("staff", "add", "anna", "--roles", "lead"), "", "--generate"),
        (("staff", "password", "nobody"), PASSWORD, "nobody of this login"),
        (("staff", "disable", "nobody"), "", "nobody of this login"),
    ],
)
def test_refusals_say_why_and_change_nothing(
    typed: Type, keys: Path, arguments: tuple[str, ...], stdin: str, reason: str
) -> None:
    code, out, err = typed(*arguments, stdin=stdin)
    assert (code, out) == (2, "")
    assert reason in err
    assert PASSWORD not in err
    assert staff_of(keys).all() == ()


def test_a_region_without_keys_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--keys", str(tmp_path), "--region", "lviv"], ["--data", str(tmp_path)], []):
        with pytest.raises(SystemExit) as ended:
            build()(["staff", "list", *arguments])
        assert ended.value.code == 2
    assert "lviv is missing" in capsys.readouterr().err
    assert not (tmp_path / "lviv").exists()


def test_a_passphrase_on_the_keys_of_personal_data(typed: Type, keys: Path) -> None:
    secrets = (MASTER, NOTIFICATION, PAYMENTS, TOKENS)
    before = KeyRing(keys / "kyiv", secrets).master().reveal()
    assert typed("keys", "protect", "--which", "tokens", stdin=PASSWORD)[0] == 2
    assert typed("keys", "protect", "--which", "master", stdin="short")[0] == 2
    assert KeyRing(keys / "kyiv", secrets).missing == ()

    assert typed("keys", "protect", "--which", "master", stdin=PASSWORD)[0] == 0
    assert KeyRing(keys / "kyiv", secrets).missing == (MASTER,)
    code, _, err = typed("keys", "protect", stdin=PASSWORD + "!")
    assert code == 2
    assert "another passphrase" in err
    assert KeyRing(keys / "kyiv", secrets).missing == (MASTER,)
    code, out, _ = typed("keys", "protect", stdin=PASSWORD)
    assert code == 0
    assert PASSWORD not in out
    assert typed("keys", "protect", stdin=PASSWORD)[0] == 2  # all have one

    ring = KeyRing(keys / "kyiv", secrets)
    assert ring.missing == (MASTER, NOTIFICATION, PAYMENTS)
    ring.token_signer()
    ring.unlock(PASSWORD)
    assert ring.master().reveal() == before


def test_a_passphrase_is_changed_and_taken_off(typed: Type, keys: Path) -> None:
    secrets = (MASTER, PAYMENTS)
    folder = keys / "kyiv"
    before = KeyRing(folder, secrets).master().reveal()
    code, _, err = typed("keys", "passphrase", stdin=f"{PASSWORD}\n{OTHER}\n")
    assert (code, "aidmesh keys protect" in err) == (2, True)
    for name in secrets:
        protect(
            folder / f"{name}.key",
            PASSWORD,
            passes=argon2id.OPSLIMIT_MIN,
            memory_bytes=argon2id.MEMLIMIT_MIN,
        )
    ring = KeyRing(folder, secrets)
    ring.unlock(PASSWORD)

    files = {path: path.read_bytes() for path in folder.glob("*.key")}
    for given in (f"{OTHER}\n{OTHER}\n", f"{PASSWORD}\nshort\n", f"{PASSWORD}\n"):
        code, out, err = typed("keys", "passphrase", stdin=given)
        assert (code, "has another passphrase" in out) == (2, False)
        assert PASSWORD not in err
        assert OTHER not in err
        assert {path: path.read_bytes() for path in files} == files

    change_passphrase(folder / "master.key", PASSWORD, OTHER)  # cut short after this one
    code, out, _ = typed("keys", "passphrase", stdin=f"{PASSWORD}\n{OTHER}\n")
    assert (code, "master" in out, "payments" in out) == (0, False, True)
    assert ring.missing == ()  # what runs keeps its keys
    started = KeyRing(folder, secrets)
    assert started.missing == secrets
    started.unlock(OTHER)
    assert started.master().reveal() == before

    code, out, _ = typed("keys", "passphrase", "--off", stdin=f"{OTHER}\n")
    assert (code, OTHER in out) == (0, False)
    assert KeyRing(folder, secrets).missing == ()
