"""`aidmesh lock` and `aidmesh unlock`: the keys of services that run.

Speaks to `/v1/keys` of every service that holds secret keys for personal data. The call is signed
with the region's own token key, so whoever may do this is whoever has the folder of keys. By the
same folder the command knows a service's signature, and seals the passphrase to it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from aidmesh.commands.common import EXIT_FAILED, refuse, run, say, tell, warn
from aidmesh.commands.secret import KeysOf, ask

if TYPE_CHECKING:
    import httpx

    from aidmesh_chassis.passphrases import Passphrase

KEEPERS = ("intake", "inventory", "payments", "notification")
"""The services with secret keys for personal data. The console has the one that signs tokens; it
stays, so that work without personal data goes on."""

OPERATOR = UUID(int=0)
"""Stands in the logs for whoever has the folder of keys."""

TOKEN_S = 60
"""For one service; who reads an open line has on-call's rights for so long."""
WAIT_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a service: what it is called here, where it answers, and as which of `services`."""

    name: str
    url: str
    services: tuple[str, ...] = KEEPERS


@dataclass(frozen=True, slots=True)
class Target:
    """One region: its folder of keys, and its services."""

    region: str
    folder: Path
    copies: Sequence[Copy]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What services are told; a passphrase goes with it where the files of keys have one."""

    locked: bool
    passphrase: "Passphrase | None" = None


def lock(
    *,
    data: Path | None = None,
    keys: Path | None = None,
    region: str | None = None,
    url: list[str] | None = None,
    json: bool = False,
) -> None:
    """Have running services drop the keys for personal data from memory; all else goes on.

    A service that is started again loads the keys that have no passphrase: see keys protect.

    Args:
        data: folder of a mesh that runs; all its regions, or the one named.
        keys: folder with a folder of keys per region instead, with region and url.
        region: which region.
        url: address of a service, as often as there are services and copies of them.
        json: what each answered, as JSON.
    """
    run(_tell(_targets(data, keys, region, url), Wanted(locked=True), json))


def unlock(
    *,
    data: Path | None = None,
    keys: Path | None = None,
    region: str | None = None,
    url: list[str] | None = None,
    json: bool = False,
) -> None:
    """Have running services load the keys for personal data; asks for the passphrase.

    Args:
        data: folder of a mesh that runs; all its regions, or the one named.
        keys: folder with a folder of keys per region instead, with region and url.
        region: which region.
        url: address of a service, as often as there are services and copies of them.
        json: what each answered, as JSON.
    """
    from aidmesh_chassis.passphrases import Passphrase  # noqa: PLC0415

    targets = _targets(data, keys, region, url)
    typed = ask("Passphrase (empty if the keys have none)")
    passphrase = Passphrase(typed) if typed else None
    run(_tell(targets, Wanted(locked=False, passphrase=passphrase), json))


def _targets(
    data: Path | None, keys: Path | None, region: str | None, url: list[str] | None
) -> list[Target]:
    if data is None:
        if not url:
            refuse("name each service's address with --url, or the mesh with --data")
        name, folder = KeysOf(keys, None, region).folder()
        return [Target(name, folder, [Copy(each, _address(each)) for each in url])]
    if keys is not None or url:
        refuse("--data knows the keys and the addresses: name no others")
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    try:
        entries = read_mesh(data.expanduser().resolve()).regions
    except MeshError as error:
        refuse(str(error))
    if region is not None and region not in entries:
        refuse(f"{data} holds no region {region}")
    return [
        Target(name, entry.keys, copies_of({each: entry.services[each].urls for each in KEEPERS}))
        for name, entry in entries.items()
        if region in {None, name}
    ]


def copies_of(urls: Mapping[str, Sequence[str]]) -> list[Copy]:
    """Every copy of services, each under a name of its own.

    Args:
        urls: where they answer, by service.
    """
    return [
        Copy(f"{service} {number}" if number > 1 else service, url, (service,))
        for service, found in urls.items()
        for number, url in enumerate(found, start=1)
    ]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        refuse(f"{url} is no address such as http://127.0.0.1:8101")
    return url.rstrip("/")


async def _tell(targets: list[Target], wanted: Wanted, as_json: bool) -> int:
    answers: list[dict[str, object]] = []
    for target in targets:
        # One after the other: deriving a key takes much memory, and they may share a machine.
        for copy in target.copies:
            told, done = await _tell_one(target, copy, wanted)
            answers.append(
                {"region": target.region, "service": copy.name, "answer": told, "done": done}
            )
            if not as_json:
                say(f"{target.region} {copy.name}: {told}")
    if as_json:
        tell(answers)
    return 0 if all(each["done"] for each in answers) else EXIT_FAILED


async def _tell_one(target: Target, copy: Copy, wanted: Wanted) -> tuple[str, bool]:
    """What it answered, in words, and whether it is as wanted now."""
    body: dict[str, object] = {"locked": wanted.locked}
    try:
        async with _client(target) as client:
            if wanted.passphrase is not None:
                state = await _keys(client, "GET", copy)
                body["sealed_passphrase"] = _sealed(target, copy, state, wanted.passphrase)
            state = await _keys(client, "PUT", copy, body)
    except _NotDoneError as error:
        return str(error), False
    return ("locked" if state.get("locked") else "unlocked"), state.get("locked") is wanted.locked


async def tell_keepers(
    region: str, folder: Path, copies: Sequence[Copy], passphrase: "Passphrase"
) -> bool:
    """Have services that run and are not locked load what is new in their folder of keys.

    Who is locked, or does not run, has it with the next `unlock`. Returns whether all that answer
    did.

    Args:
        region: its name.
        folder: its folder of keys.
        copies: of services with such keys.
        passphrase: that opens the keys.
    """
    target = Target(region, folder, copies)
    good = True
    for copy in copies:
        try:
            async with _client(target) as client:
                state = await _keys(client, "GET", copy)
        except _NotDoneError:
            warn(f"{region} {copy.name}: does not answer; it has its new key when it is unlocked")
            continue
        if state.get("locked"):
            warn(f"{region} {copy.name}: is locked; it has its new key when it is unlocked")
            continue
        told, done = await _tell_one(target, copy, Wanted(locked=False, passphrase=passphrase))
        good = good and done
        if not done:
            warn(f"{region} {copy.name}: {told}")
    return good


class _NotDoneError(Exception):
    """A copy was not told; the message is for the person."""


async def _keys(
    client: "httpx.AsyncClient", method: str, copy: Copy, body: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    import httpx  # noqa: PLC0415

    try:
        answer = await client.request(method, f"{copy.url}/v1/keys", json=body)
        found = dict(answer.json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise _NotDoneError(
            f"does not answer ({type(error).__name__}); a process that ended holds no keys"
        ) from None
    if not answer.is_success:
        reason = f" ({found['reason']})" if "reason" in found else ""
        raise _NotDoneError(
            f"{found.get('title', answer.status_code)}{reason}. {found.get('detail', '')}"
        )
    return found


def _sealed(
    target: Target, copy: Copy, state: Mapping[str, object], passphrase: "Passphrase"
) -> str:
    """What only the service itself can open, by what it says and the region's folder of keys."""
    from aidmesh.credentials import CredentialsError, publics_of  # noqa: PLC0415
    from aidmesh_chassis.passphrases import NotGenuine, SealTo, seal_passphrase  # noqa: PLC0415

    service = str(state.get("service"))
    try:
        to = SealTo.model_validate(state.get("seal_to"))
        nkeys = publics_of(target.folder, service) if service in copy.services else ()
        return seal_passphrase(passphrase, to, target.region, service, nkeys).reveal()
    except NotGenuine:
        raise _NotDoneError(
            f"what answers can't prove that it is {' or '.join(copy.services)} of {target.region}: "
            "another region's, or somebody on the line; the passphrase was not sent"
        ) from None
    except CredentialsError as error:
        raise _NotDoneError(f"{error}; the passphrase was not sent") from None
    except ValueError:
        raise _NotDoneError(
            "does not say what to seal the passphrase to, so it was not sent: an older version, or "
            "one without an nkey that it can read (NATS_SEED_FILE)"
        ) from None


def _client(target: Target) -> "httpx.AsyncClient":
    import ssl  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {_token(target)}"},
        timeout=WAIT_S_MAX,
        verify=ssl.create_default_context(),  # what this machine trusts, an office's own CA too
        trust_env=False,
    )


def _token(target: Target) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    from aidmesh_chassis.auth import Role, issue_token  # noqa: PLC0415
    from aidmesh_chassis.keys import TOKENS, KeyFileError, KeyRing, Locked  # noqa: PLC0415

    try:
        signer = KeyRing(target.folder, [TOKENS]).token_signer()
    except (Locked, KeyFileError):
        refuse(f"{target.folder} has no tokens.key that can be used; it signs this call")
    return issue_token(signer, OPERATOR, [Role.ONCALL], target.region, datetime.now(UTC), TOKEN_S)
