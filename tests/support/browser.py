"""The installed browser, driven by playwright: nothing is downloaded."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The path of an installed Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def driver_runs() -> bool:
    """Whether the driver's own node, which comes with playwright, has the libraries that it needs."""
    node, _ = compute_driver_executable()
    return subprocess.run([node, "--version"], capture_output=True, check=False).returncode == 0


def has_chinese_font() -> bool:
    """Whether a font with Chinese characters is installed; without one a browser draws boxes."""
    listing = shutil.which("fc-list")
    if listing is None:
        return False
    return bool(subprocess.run([listing, ":lang=zh-cn"], capture_output=True, check=False).stdout.strip())


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A headless browser without its sandbox, which root may not use; it sees only our own pages."""
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium is installed")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()
