"""Operations on people's way into the console, over a walk in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from answerable.apps.control_api import person_operations
from answerable.apps.control_api.call import Call
from answerable.apps.control_api.openapi import schemas
from answerable.errors import Malformed, Refused
from tests.worlds.answers import as_sent
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = pytest.mark.anyio


async def asked(operation: Any, bench: Any, *, body: Any = None, query: Any = None, **path: str) -> Any:
    made: Any = SimpleNamespace(walk=bench.walk)
    call = Call(product=made, by="operator", path=path, query=query or {}, body=body)
    return as_sent(await operation.run(call))


def members_of(component: str) -> set[str]:
    schema: Any = schemas()[component]
    return set(schema["properties"])


async def test_an_invitation_has_an_address_whose_code_no_server_sees():
    bench = await passkey_bench()
    answer = await asked(person_operations.invite, bench, name="alice", body={})
    assert set(answer) == members_of("Invited")
    assert answer["url"] == f"http://localhost:8768/enrol#{answer['code']}"
    short = await asked(person_operations.invite, bench, name="alice", body={"seconds": 60})
    assert short["expires_at"] < answer["expires_at"]
    desk = bench.asking.passkeys
    assert desk is not None
    desk.origins = ()
    assert (await asked(person_operations.invite, bench, name="alice", body={}))["url"] == ""
    for seconds in (0, -1, True, 86_401, "60"):
        with pytest.raises(Malformed):
            await asked(person_operations.invite, bench, name="alice", body={"seconds": seconds})
    with pytest.raises(Refused):
        await asked(person_operations.invite, bench, name="nobody", body={})


async def test_passkeys_are_listed_for_their_person_and_removed_once():
    bench = await passkey_bench()
    hers, his = await enrolled(bench, "alice"), await enrolled(bench, "bob")
    page = await asked(person_operations.list_passkeys, bench)
    assert [one["id"] for one in page["items"]] == [hers.name, his.name]
    assert set(page["items"][0]) == members_of("Passkey")
    page = await asked(person_operations.list_passkeys, bench, query={"person": "bob"})
    assert [one["person"] for one in page["items"]] == ["bob"]
    gone = await asked(person_operations.remove, bench, id=hers.name)
    assert gone["id"] == hers.name
    with pytest.raises(Refused):
        await asked(person_operations.remove, bench, id=hers.name)
