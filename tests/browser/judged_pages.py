"""What others find in a page: axe-core about who can read it, the browser about its scripts and its policy."""

from __future__ import annotations

from typing import Any, Final

from playwright.async_api import Page

from node_packages import AXE
from tests.probes.loud_skips import without_loudly

AXE_CORE: Final = "axe-core"
ADVICE: Final = "./dev verifiers, which needs npm (apt-get install npm)"
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def watched(page: Page) -> list[str]:
    """What the page's scripts and its policy complain of."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    return said


async def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA; nothing, and a warning, where it is not installed: what else a
    test claims of the page is proven without it."""
    if not AXE.is_ready():
        without_loudly(AXE_CORE, ADVICE)
        return []
    await page.evaluate((AXE.folder / "node_modules" / AXE.script).read_text())
    found: Any = await page.evaluate("tags => axe.run({ runOnly: tags })", TAGS)
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]
