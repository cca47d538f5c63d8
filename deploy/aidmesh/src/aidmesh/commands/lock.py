"""`aidmesh lock` and `aidmesh unlock`: the keys of services that run.

Speaks to `/v1/keys` of every service that holds secret keys for personal data. The call is signed
with the region's own token key, so whoever may do this is whoever has the folder of keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from aidmesh.commands.common import EXIT_FAILED, refuse, run, say, tell, warn
from aidmesh.commands.secret import KeysOf, ask

if TYPE_CHECKING:
    import httpx

KEEPERS = ("intake", "inventory", "payments", "notification")
"""The services with secret keys for personal data. The console has the one that signs tokens; it
stays, so that work without personal data goes on."""

OPERATOR = UUID(int=0)
"""Stands in the logs for whoever has the folder of keys."""

TOKEN_S = 300
WAIT_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """One region: its folder of keys, and where its services answer, by name."""

    region: str
    folder: Path
    urls: Mapping[str, str]


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
    run(_tell(_targets(data, keys, region, url), {"locked": True}, json))


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
    targets = _targets(data, keys, region, url)
    passphrase = ask("Passphrase (empty if the keys have none)") or None
    run(_tell(targets, {"locked": False, "passphrase": passphrase}, json))


def _targets(
    data: Path | None, keys: Path | None, region: str | None, url: list[str] | None
) -> list[Target]:
    if data is None:
        if not url:
            refuse("name each service's address with --url, or the mesh with --data")
        name, folder = KeysOf(keys, None, region).folder()
        return [Target(name, folder, {each: _careful(each) for each in url})]
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
        Target(name, entry.keys, urls_of({each: entry.services[each].urls for each in KEEPERS}))
        for name, entry in entries.items()
        if region in {None, name}
    ]


def urls_of(copies: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Where every copy of services answers, each under a name of its own."""
    return {
        f"{name} {number}" if number > 1 else name: url
        for name, urls in copies.items()
        for number, url in enumerate(urls, start=1)
    }


def _careful(url: str) -> str:
    """The address, unless a passphrase sent there could be read on the way."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(host)):
        refuse(f"{url} is neither https nor http on this machine; forward a port, or use TLS")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _tell(targets: list[Target], wanted: Mapping[str, object], as_json: bool) -> int:
    import ssl  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    answers: list[dict[str, object]] = []
    trusted = ssl.create_default_context()  # what this machine trusts, an office's own CA too
    for target in targets:
        headers = {"Authorization": f"Bearer {_token(target)}"}
        async with httpx.AsyncClient(
            headers=headers, timeout=WAIT_S_MAX, verify=trusted, trust_env=False
        ) as client:
            # One after the other: deriving a key takes much memory, and they may share a machine.
            for name, url in target.urls.items():
                told, done = await _tell_one(client, url, wanted)
                answers.append(
                    {"region": target.region, "service": name, "answer": told, "done": done}
                )
                if not as_json:
                    say(f"{target.region} {name}: {told}")
    if as_json:
        tell(answers)
    return 0 if all(each["done"] for each in answers) else EXIT_FAILED


async def _tell_one(
    client: "httpx.AsyncClient", url: str, wanted: Mapping[str, object]
) -> tuple[str, bool]:
    import httpx  # noqa: PLC0415

    try:
        answer = await client.put(f"{url}/v1/keys", json=dict(wanted))
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return (
            f"does not answer ({type(error).__name__}); a process that ended holds no keys",
            False,
        )
    if not answer.is_success:
        reason = f" ({body['reason']})" if "reason" in body else ""
        return f"{body.get('title', answer.status_code)}{reason}. {body.get('detail', '')}", False
    return ("locked" if body["locked"] else "unlocked"), body["locked"] is wanted["locked"]


async def tell_keepers(region: str, folder: Path, urls: Mapping[str, str], passphrase: str) -> bool:
    """Have services that run and are not locked load what is new in their folder of keys.

    Who is locked, or does not run, has it with the next `unlock`. Returns whether all that answer
    did.

    Args:
        region: its name.
        folder: its folder of keys.
        urls: where the services answer, by name.
        passphrase: that opens the keys.
    """
    import httpx  # noqa: PLC0415

    headers = {"Authorization": f"Bearer {_token(Target(region, folder, urls))}"}
    good = True
    async with httpx.AsyncClient(headers=headers, timeout=WAIT_S_MAX, trust_env=False) as client:
        for name, url in urls.items():
            try:
                state = (await client.get(f"{url}/v1/keys")).raise_for_status().json()
            except (httpx.HTTPError, ValueError):
                warn(f"{region} {name}: does not answer; it has its new key when it is unlocked")
                continue
            if state["locked"]:
                warn(f"{region} {name}: is locked; it has its new key when it is unlocked")
                continue
            told, done = await _tell_one(client, url, {"locked": False, "passphrase": passphrase})
            good = good and done
            if not done:
                warn(f"{region} {name}: {told}")
    return good


def _token(target: Target) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    from aidmesh_chassis.auth import Role, issue_token  # noqa: PLC0415
    from aidmesh_chassis.keys import TOKENS, KeyFileError, KeyRing, Locked  # noqa: PLC0415

    try:
        signer = KeyRing(target.folder, [TOKENS]).token_signer()
    except (Locked, KeyFileError):
        refuse(f"{target.folder} has no tokens.key that can be used; it signs this call")
    return issue_token(signer, OPERATOR, [Role.ONCALL], target.region, datetime.now(UTC), TOKEN_S)
