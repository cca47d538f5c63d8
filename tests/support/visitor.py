"""Somebody at a desk, as a browser without its looks: cookies, and forms as pages show them."""

from html.parser import HTMLParser
from typing import Self

import httpx

from aidmesh_chassis.authorities import vouching

WAIT_S = 240.0
SENT_AS_IT_IS = frozenset({"hidden", "text", "date", "time", "datetime-local", "number"})


class _Forms(HTMLParser):
    """The forms of a page: where each goes, and what it would send if nobody changed anything."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._inside = False
        self._select: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((has.get("action", ""), {}))
            self._inside = True
        elif not self._inside or "form" in has:
            return
        elif tag == "input" and "name" in has:
            as_it_is = has.get("type", "text") in SENT_AS_IT_IS
            if as_it_is or "checked" in has:
                self._fields[has["name"]] = has.get("value", "")
        elif tag == "select":
            self._select = has.get("name")
        elif tag == "option" and self._select is not None:
            first = self._select not in self._fields  # what is sent where none is selected
            if first or "selected" in has:
                self._fields[self._select] = has.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag == "form":
            self._inside = False

    @property
    def _fields(self) -> dict[str, str]:
        return self.found[-1][1]


class Visitor:
    """Whoever sits before the desk at `url`; `transport` stands in for the network."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            transport=transport,
            verify=vouching([url]),
            timeout=WAIT_S,
            trust_env=False,
            headers={"Accept-Language": "en"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def sign_in(self, login: str, password: str) -> str:
        """Sign in by name; the page after it. AssertionError when the desk refuses."""
        return await self.send("/sign-in", "/sign-in", login=login, password=password)

    async def page(self, path: str) -> str:
        """A page of the desk. AssertionError when it is not shown, also to who is not signed in."""
        answer = await self._http.get(path)
        assert answer.status_code == httpx.codes.OK, f"{path}: {answer.status_code}"
        return answer.text

    async def send(self, path: str, action: str, **fields: str) -> str:
        """Fill in a page's form and send it, as it was given out; the page after it.

        Args:
            path: the page.
            action: where its form goes.
            fields: what is entered; all others are sent as the page has them.

        Raises AssertionError when there is no such form, or the desk refuses it.
        """
        forms = [each for goes, each in _Forms(await self.page(path)).found if goes == action]
        assert forms, f"{path} has no form for {action}"
        answer = await self._http.post(action, data={**forms[0], **fields})
        assert answer.status_code == httpx.codes.SEE_OTHER, f"{action}: {answer.status_code}"
        return await self.page(answer.headers["location"])
