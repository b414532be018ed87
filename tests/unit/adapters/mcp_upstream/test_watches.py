from __future__ import annotations

import pytest

from answerable.adapters.mcp_upstream import watches as module
from answerable.adapters.mcp_upstream.watches import Watches

pytestmark = pytest.mark.anyio


async def test_a_resource_is_wanted_for_as_long_as_somebody_wants_it():
    watches, heard = Watches(), []
    one, two = watches.open(lambda *event: heard.append(event)), watches.open(lambda *_: None)
    assert one.add("a://1")
    assert one.add("a://1")
    assert two.add("a://1")
    one.drop("a://1")
    assert watches.wanted == {"a://1"}
    two.close()
    two.close()
    assert watches.wanted == frozenset()
    watches.emit("notifications/tools/list_changed")
    assert heard == [("notifications/tools/list_changed", "")]


async def test_a_listener_that_fails_costs_only_itself():
    watches, heard = Watches(), []

    def failing(*_):
        raise RuntimeError

    watches.open(failing)
    watches.open(lambda *event: heard.append(event))
    watches.emit("notifications/resources/updated", "a://1")
    assert heard == [("notifications/resources/updated", "a://1")]


async def test_there_are_only_so_many_resources(monkeypatch):
    monkeypatch.setattr(module, "URIS_MAX", 2)
    watch = Watches().open(lambda *_: None)
    assert [watch.add(f"a://{n}") for n in range(3)] == [True, True, False]
