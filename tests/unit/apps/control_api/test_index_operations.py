"""What the index is asked through the control API: what cannot be understood is refused before it is asked. The story
of an instance can be asked for by its SPIFFE ID, slashes and all, and that of a manifest by its digest."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.action.request import action_request
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.errors import Refused
from answerable.flows.walk.govern_action import govern_action
from tests.unit.apps.control_api.control_index import indexed
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.control import memory_product
from tests.worlds.parts import to_govern

pytestmark = pytest.mark.anyio

INSTANCE = "spiffe://answerable.test/agent/support-agent/" + "1" * 32


@pytest.mark.requirement("IDENT-08")
async def test_an_instance_and_a_manifest_are_names_like_any_other() -> None:
    product = memory_product()
    digest = hashlib.sha256(b"message").digest()
    request = action_request(
        server="crm",
        method="tools/call",
        target="case_read",
        arguments={},
        mandate_id="",
        reason="",
        message_digest=digest,
    )
    caller = VerifiedCaller(
        agent=AgentId("support-agent"),
        proof="svid",
        binding="svid",
        sequence=1,
        message_digest=digest,
        at=product.walk.clock.now(),
        identity=CallerIdentity(instance=INSTANCE, source="unix", grade="kernel", manifest="a" * 64),
    )
    with pytest.raises(Refused):
        await govern_action(*to_govern(product.walk), request, caller)
    async with client_of(control_app(indexed(product))) as client:
        for name in (INSTANCE, "1" * 32, "a" * 64):
            story = await client("show_timeline", name=quote(name, safe=""))
            assert [line["kind"] for line in story["lines"]] == ["refusal"], name
        other = await client("show_timeline", name=quote(f"{INSTANCE}/sub-1", safe=""))
        assert other["lines"] == []


@pytest.mark.requirement("SEARCH-08", "STORY-04")
@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("search_actions", {"q": "agnet:x"}, "search.field"),
        ("search_actions", {"q": 'text:"open'}, "search.word"),
        ("search_actions", {"q": "since:then"}, "search.time"),
        ("search_actions", {"cursor": "1"}, "search.cursor"),
        ("search_actions", {"limit": "0"}, "search.limit"),
        ("search_actions", {"limit": "-1"}, "request.query"),
        ("search_actions", {"limit": "1001"}, "search.limit"),
        ("search_actions", {"q": "text:" + "a" * 20_000}, "request.query"),
        ("show_timeline", {"name": "m-1", "q": "since:then"}, "search.time"),
        ("show_timeline", {"name": "m-1", "limit": "all"}, "request.query"),
        ("show_name", {"name": "amount:much"}, "search.value"),
        ("show_scope", {"q": "person:ada"}, "scope.field"),
        ("show_scope", {"rows": "0"}, "search.limit"),
        ("list_accounts", {"target": "shop db"}, "name.invalid"),
    ],
)
async def test_a_question_that_cannot_be_understood_is_refused_before_it_is_asked(
    operation: str, given: dict[str, str], code: str
) -> None:
    async with client_of(control_app(memory_product())) as client:
        assert (await client(operation, status=400, **given))["code"] == code
