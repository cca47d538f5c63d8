"""A real browser before a desk: the Chromium that the machine has."""

import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from support.desk import FakeDesk

NAMES = (
    "chromium-headless-shell",  # the same engine without what no window shows: half the processor
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
REQUIRE = "AIDMESH_REQUIRE_BROWSER"
START_S_MAX = 80.0
ACT_MS_MAX = 60_000
QUIET_FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
)


def chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def required() -> bool:
    """Whether tests fail without a browser instead of not running."""
    return os.environ.get(REQUIRE) == "1"


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """That browser, without a window."""
    path = chromium()
    assert path is not None, f"no Chromium on PATH; looked for {', '.join(NAMES)}"
    flags = [*QUIET_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def open_page(
    browser: Browser, width: int = 1100, *, script: bool = True, language: str = "en"
) -> AsyncIterator[Page]:
    """A page of somebody who was never here; a fault of its script or policy fails the test."""
    faults: list[str] = []
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, locale=language, java_script_enabled=script
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(ACT_MS_MAX)
        expect.set_options(timeout=ACT_MS_MAX)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: faults.append(said.text) if "Content Security" in said.text else None,
        )
        yield page
    finally:
        await context.close()
    assert faults == []


async def sign_in(page: Page, address: str, token: str) -> None:
    """Sign in with a token, as in the demo."""
    await page.goto(f"{address}/sign-in")
    await page.locator("summary").click()
    await page.locator("#token").fill(token)
    await page.locator("form:has(#token) button").click()
    await page.wait_for_url(f"{address}/")


@contextmanager
def served(desk: FakeDesk) -> Iterator[str]:
    """The desk on a free port of this machine; gives its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(desk.service.app, log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="desk", daemon=True
        )
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # FastAPI completes its routes, which desks share, at the first question that none of them
        # answers; two desks must not do so at once.
        assert httpx.get(f"{address}/nothing-here", timeout=START_S_MAX).status_code < 500
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(START_S_MAX)
