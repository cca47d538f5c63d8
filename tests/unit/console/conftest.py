"""A desk with made-up services, and somebody at it."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from aidmesh_chassis.auth import Role
from support.desk import FakeDesk, fake_desk

_PROOF = re.compile(r'name="proof" value="([0-9a-f]+)"')


class Browser:
    """What a browser does, without its looks: keeps cookies, carries the proof of a form."""

    def __init__(self, desk: FakeDesk) -> None:
        self.desk = desk
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(desk.service.app, raise_app_exceptions=False),
            base_url="http://desk.test",
        )
        self.proof = ""

    async def get(self, path: str, language: str = "en") -> httpx.Response:
        """Open a page."""
        return self._seen(await self.http.get(path, headers={"Accept-Language": language}))

    async def post(
        self, path: str, language: str = "en", **fields: str | list[str]
    ) -> httpx.Response:
        """Send a form of the page that was seen last."""
        fields.setdefault("proof", self.proof)
        return self._seen(
            await self.http.post(path, data=fields, headers={"Accept-Language": language})
        )

    async def sign_in(self, *roles: Role) -> None:
        """Sign in with a token of these roles."""
        await self.get("/sign-in")
        answer = await self.post("/sign-in", token=self.desk.token(roles))
        assert answer.status_code == 303, answer.text
        await self.get("/")

    def _seen(self, response: httpx.Response) -> httpx.Response:
        if found := _PROOF.search(response.text):
            self.proof = found[1]
        return response


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    """A desk of region kyiv."""
    return fake_desk(tmp_path)


@pytest.fixture
async def browser(desk: FakeDesk) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    found = Browser(desk)
    yield found
    await found.http.aclose()


@pytest.fixture
async def browser_of(tmp_path: Path) -> AsyncIterator[Callable[..., Browser]]:
    """Makes a browser before a desk with other settings."""
    made: list[Browser] = []

    def make(**settings: object) -> Browser:
        folder = tmp_path / str(len(made))
        made.append(Browser(fake_desk(folder, **settings)))
        return made[-1]

    yield make
    for each in made:
        await each.http.aclose()
