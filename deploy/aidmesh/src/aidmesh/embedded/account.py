"""Whom a server runs as, and whether that account can reach a path.

PostgreSQL refuses to run as root. Started by root it runs as the account that owns its data
already, else as `nobody`; nothing is added to the host, and only the server's own data folder
changes owner.
"""

import os
import pwd
import stat
from pathlib import Path

from aidmesh.embedded.errors import EmbeddedError
from aidmesh.embedded.process import Account

UNPRIVILEGED = "nobody"


def server_account(data: Path) -> Account | None:
    """The account to run a server as whose data is (or will be) in `data`; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if data.exists() else 0
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        wanted = f"number {owner}" if owner else UNPRIVILEGED
        raise EmbeddedError(
            f"PostgreSQL does not run as root and this host has no account {wanted}; "
            "run the command as an ordinary user"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_reach(path: Path, account: Account | None) -> bool:
    """Whether the account may pass through every folder above `path` (by mode bits)."""
    if account is None:
        return True
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid == account.uid:
            allowed = status.st_mode & stat.S_IXUSR
        elif status.st_gid == account.gid:
            allowed = status.st_mode & stat.S_IXGRP
        else:
            allowed = status.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True
