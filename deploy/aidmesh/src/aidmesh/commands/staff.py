"""`aidmesh staff`: who may sign in to a region's desk.

A password is asked for on the terminal, or read from standard input; left empty on the terminal,
one is made up and shown once.
"""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aidmesh.commands.common import names, refuse, report, say, tell
from aidmesh.commands.secret import NAMED, KeysOf, ask

if TYPE_CHECKING:
    from aidmesh_chassis.auth import Role
    from aidmesh_chassis.staff import StaffFile

# Read aloud and typed from paper, so nothing that looks like something else: 99 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP_CHARS = 5, 4
MINUTES = 60


def add(
    login: str,
    /,
    *,
    roles: str,
    at: KeysOf = NAMED,
    generate: bool = False,
    json: bool = False,
) -> None:
    """Let somebody sign in.

    Args:
        login: name to sign in with; 2 to 64 letters, digits, dots, hyphens and underscores.
        roles: separated by commas, of caseworker, logistician, finance, approver, lead, oncall.
        at: which region's keys.
        generate: make up a password without asking, and show it.
        json: as JSON.
    """
    with _staff(at) as staff:
        wanted = _roles(roles)
        password, made_up = _password(generate)
        staff.add(login, password, wanted)
    report(
        json,
        {"login": login, "roles": sorted(wanted), **_told(password, made_up)},
        f"{login} may sign in as {', '.join(sorted(wanted))}",
        *_shown(password, made_up),
    )


def show(*, at: KeysOf = NAMED, json: bool = False) -> None:
    """List who may sign in, with their roles and random ids.

    Args:
        at: which region's keys.
        json: as JSON.
    """
    with _staff(at) as staff:
        found = staff.all()
    if json:
        tell(
            [
                {
                    "login": each.login,
                    "staff_id": str(each.staff_id),
                    "roles": sorted(each.roles),
                    "disabled": each.disabled,
                }
                for each in found
            ]
        )
        return
    if not found:
        say("nobody yet; aidmesh staff add adds somebody")
    width = max((len(each.login) for each in found), default=0)
    for each in found:
        told = "disabled" if each.disabled else ", ".join(sorted(each.roles))
        say(f"{each.login:<{width}}  {each.staff_id}  {told}")


def disable(
    login: str,
    /,
    *,
    at: KeysOf = NAMED,
    json: bool = False,
) -> None:
    """Stop somebody from signing in.

    Args:
        login: whom.
        at: which region's keys.
        json: as JSON.
    """
    with _staff(at) as staff:
        staff.set_disabled(login, disabled=True)
    report(
        json,
        {"login": login, "disabled": True},
        f"{login} can't sign in any more; a visit that is open has ended",
    )


def enable(
    login: str,
    /,
    *,
    at: KeysOf = NAMED,
    json: bool = False,
) -> None:
    """Let somebody who was disabled sign in again.

    Args:
        login: whom.
        at: which region's keys.
        json: as JSON.
    """
    with _staff(at) as staff:
        staff.set_disabled(login, disabled=False)
    report(json, {"login": login, "disabled": False}, f"{login} may sign in again")


def roles(
    login: str,
    roles: str,
    /,
    *,
    at: KeysOf = NAMED,
    json: bool = False,
) -> None:
    """Give somebody other roles.

    Args:
        login: whom.
        roles: separated by commas, of caseworker, logistician, finance, approver, lead, oncall.
        at: which region's keys.
        json: as JSON.
    """
    with _staff(at) as staff:
        wanted = _roles(roles)
        staff.set_roles(login, wanted)
    report(
        json,
        {"login": login, "roles": sorted(wanted)},
        f"{login} is {', '.join(sorted(wanted))}; whoever was signed in signs in again",
    )


def password(
    login: str,
    /,
    *,
    at: KeysOf = NAMED,
    generate: bool = False,
    json: bool = False,
) -> None:
    """Give somebody another password.

    Args:
        login: whom.
        at: which region's keys.
        generate: make up a password without asking, and show it.
        json: as JSON.
    """
    with _staff(at) as staff:
        if all(each.login != login.strip().lower() for each in staff.all()):
            refuse("There is nobody of this login.")
        chosen, made_up = _password(generate)
        staff.set_password(login, chosen)
    report(
        json,
        {"login": login, **_told(chosen, made_up)},
        f"{login} has another password; whoever was signed in signs in again",
        *_shown(chosen, made_up),
    )


def token(
    login: str,
    /,
    *,
    at: KeysOf = NAMED,
    minutes: int = MINUTES,
    json: bool = False,
) -> None:
    """Make a token that lets a program ask a region's services in somebody's name.

    It has the roles that they have now, until it runs out, even if they are disabled before:
    handle it like their password.

    Args:
        login: in whose name; what is done by it stands as theirs in the books.
        at: which region's keys.
        minutes: for how long it is good, twelve hours at the most.
        json: as JSON.
    """
    from aidmesh_chassis.auth import LIFETIME_S_MAX, issue_token  # noqa: PLC0415
    from aidmesh_chassis.keys import TOKENS, KeyFileError, KeyRing, Locked  # noqa: PLC0415

    if not 1 <= minutes <= LIFETIME_S_MAX // 60:
        refuse(f"a token is good for 1 to {LIFETIME_S_MAX // 60} minutes")
    region, folder = at.folder()
    with _staff(at) as staff:
        member = next((each for each in staff.all() if each.login == login.strip().lower()), None)
    if member is None or member.disabled:
        refuse("There is nobody of this login who may sign in.")
    try:
        signer = KeyRing(folder, [TOKENS]).token_signer()
    except (Locked, KeyFileError):
        refuse(f"{folder} has no tokens.key that can be used; it signs tokens")
    made = issue_token(
        signer, member.staff_id, member.roles, region, datetime.now(UTC), minutes * 60
    )
    report(json, {"login": member.login, "minutes": minutes, "token": made}, made)


@contextmanager
def _staff(at: KeysOf) -> Iterator["StaffFile"]:
    from aidmesh_chassis.staff import StaffError, StaffFile  # noqa: PLC0415
    from aidmesh_console.app import STAFF_FILE  # noqa: PLC0415

    _, folder = at.folder()
    try:
        yield StaffFile(folder / STAFF_FILE)
    except (StaffError, OSError) as error:
        refuse(str(error))


def _roles(text: str) -> frozenset["Role"]:
    from aidmesh_chassis.auth import Role  # noqa: PLC0415

    try:
        return frozenset(Role(name) for name in names(text) or ())
    except ValueError:
        refuse(f"roles are {', '.join(Role)}")


def _password(generate: bool) -> tuple[str, bool]:
    """A password, and whether it was made up here."""
    if not generate:
        entered = ask("Password (empty: one is made up)", twice=True)
        if entered:
            return entered, False
        if not sys.stdin.isatty():
            refuse("no password on standard input; --generate makes one up")
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_CHARS)) for _ in range(GROUPS))
    return "-".join(groups), True


def _told(password: str, made_up: bool) -> dict[str, object]:
    return {"password": password} if made_up else {}


def _shown(password: str, made_up: bool) -> tuple[str, ...]:
    if not made_up:
        return ()
    return f"password: {password}", "It is shown this once; it is kept as a hash only."
