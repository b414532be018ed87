"""Without the checker of accessibility, only what it alone can say is skipped."""

from __future__ import annotations

from typing import Any

import pytest

from node_packages import NodePackages
from tests.browser import test_pages as pages
from tests.browser.judged_pages import AXE_CORE, violations
from tests.probes.loud_skips import REQUIRE_VARIABLE

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CI-02")]
NOWHERE: Any = None
CLEAN = pages.Seen(wide=[], said=[], found={})


@pytest.fixture(autouse=True)
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NodePackages, "is_ready", lambda _: False)
    monkeypatch.delenv(REQUIRE_VARIABLE, raising=False)


async def test_a_test_that_claims_more_goes_on_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="axe-core is not installed"):
        assert await violations(NOWHERE) == []


async def test_only_the_claim_of_accessibility_is_skipped() -> None:
    await pages.test_every_page_breaks_no_policy_of_its_own_and_fits_a_phone(CLEAN)
    with pytest.warns(UserWarning, match="axe-core"), pytest.raises(pytest.skip.Exception):
        await pages.test_every_page_passes_axe_in_light_and_dark_on_desktop_and_phone(CLEAN)


async def test_where_it_is_required_both_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_VARIABLE, AXE_CORE)
    with pytest.raises(pytest.fail.Exception, match="`axe-core` must be here"):
        await violations(NOWHERE)
    with pytest.raises(pytest.fail.Exception, match="`axe-core` must be here"):
        await pages.test_every_page_passes_axe_in_light_and_dark_on_desktop_and_phone(CLEAN)
