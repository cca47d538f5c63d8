"""Replaces the keys that a region's services seal to and sign with, while they run.

Services see what changes in their folder of keys; a key with a passphrase they are told to load.
Peers hear of the new public keys by the services' own events.
"""

import asyncio
from pathlib import Path
from typing import Final

from aidmesh.commands.lock import copies_of, tell_keepers
from aidmesh.meshfile import MeshError, RegionEntry
from aidmesh_chassis.key_rotation import prepare, protected, switch
from aidmesh_chassis.keys import LOOK_S, TOKENS, KeyFileError, WrongPassphrase
from aidmesh_chassis.passphrases import Passphrase

SEEN_S: Final = 2 * LOOK_S
"""After so long whatever is used has seen what was written before."""


def covered(folder: Path) -> tuple[str, ...]:
    """Which keys of services have a passphrase. Raises MeshError when one is missing.

    Args:
        folder: of the region's keys.
    """
    try:
        return protected(folder)
    except KeyFileError as error:
        raise MeshError(
            f"{folder}: {error} aidmesh keys init adds what is missing and changes nothing else"
        ) from None


async def rotate_own(region: str, entry: RegionEntry, passphrase: str | None) -> None:
    """Replace them, one step after the other; cut short, it is taken up by the next time.

    Args:
        region: its name.
        entry: where its keys are, and its services.
        passphrase: that opens those keys that have one.

    Raises:
        MeshError: nothing was replaced; the message says why.
    """
    try:
        names = covered(entry.keys)
        await asyncio.to_thread(prepare, entry.keys, passphrase)
        await asyncio.sleep(SEEN_S)  # containers are handed them meanwhile, and load what they have
        keepers = copies_of({each: entry.services[each].urls for each in names if each != TOKENS})
        if passphrase is not None and not await tell_keepers(
            region, entry.keys, keepers, Passphrase(passphrase)
        ):
            raise MeshError(f"{region}: a service did not load its new key; nothing was replaced")
        await asyncio.to_thread(switch, entry.keys)
    except (KeyFileError, WrongPassphrase, OSError) as error:
        raise MeshError(f"{entry.keys}: {error}") from None
