"""One browser for the tests of a file; each person in it has a profile of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.browser.console_world import chromium


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """Debian's chromium, or a loud skip."""
    del anyio_backend  # Whoever asks for it has the fixture run on the loop of the tests.
    async with chromium() as one:
        yield one
