"""The token service, asked by agents that want more than they were given, twice, at once, or as somebody else."""

from __future__ import annotations

import anyio
import pytest

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.constraint import MaxSubtree
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_token import confirmation_of, read_hop
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.samples import signing_key
from tests.worlds.token import narrow, succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TOKEN-06")]


def why(answer):
    assert answer.status_code in (400, 401), answer.text
    return answer.json()["answerable_code"]


async def test_nobody_exchanges_what_is_another_agents(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        assert why(await world.exchange("researcher", "m-1")) == "mandate.unknown"
        assert why(await world.exchange("researcher", "m-9")) == "mandate.unknown"
        assert why(await world.exchange("researcher", root)) == "oauth.invalid_grant"
        read = narrow(("crm.read",), root)
        for_writer = world.handed((root,), "orchestrator", "writer", read)
        assert why(await world.exchange("researcher", root, consent=for_writer)) == "oauth.invalid_grant"
        by_itself = await world.exchange("researcher", root, consent=root)
        assert why(by_itself).startswith("delegation.")
        # Its own agent by name, another key.
        key = confirmation_of(signing_key("stranger").public)
        other_key = world.handed((root,), "orchestrator", "researcher", read, confirmation=key)
        for agent in ("researcher", "stranger"):
            assert why(await world.exchange(agent, root, consent=other_key)) == "oauth.invalid_grant"


async def test_what_is_issued_is_never_more_than_was_consented_to_in_any_respect(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        read = narrow(("crm.read",), root, MaxSubtree(key="rows", bound=3))
        audiences = (f"{world.url}/mcp/crm",)
        consent = world.handed(
            (root,), "orchestrator", "researcher", read, audiences=audiences, depth_limit=2
        )
        asked = {"consent": consent, "requested_token_type": oauth.TYPE_DELEGATION}
        answer = await world.exchange("researcher", root, **asked)
        assert answer.status_code == 200, answer.text
        hop = read_hop(answer.json()["access_token"])
        assert (hop.audiences, hop.depth_limit, hop.authority) == (audiences, 2, read)
        assert hop.expires_at <= read_hop(root).expires_at
        # No deeper than the consent says, offline or online.
        chain = tuple(answer.json()["delegation"].split("~"))
        with pytest.raises(Exception, match="del_max_depth"):
            world.handed(chain, "researcher", "writer", read, audiences=audiences)
        assert (
            why(await world.exchange("researcher", root, **asked, scope="crm.note")) == "oauth.invalid_scope"
        )
        assert why(await world.exchange("researcher", root, **asked, scope="crm.*")) == "oauth.invalid_scope"
        everything = await world.exchange("researcher", root, **asked, resource=world.url)
        assert read_hop(everything.json()["access_token"]).audiences == audiences
        wider = json_of([detail_of(read_hop(root).authority)])
        answer = await world.exchange("researcher", root, **asked, authorization_details=wider)
        assert read_hop(answer.json()["access_token"]).authority == read
        for details in ("[]", "{}", "[1,2]", "nonsense", json_of([{"type": "other"}])):
            answer = await world.exchange("researcher", root, **asked, authorization_details=details)
            assert answer.json()["error"] in ("invalid_authorization_details", "invalid_request"), details


async def test_a_consent_that_was_taken_back_is_no_consent(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        # Whoever signed it ends it with the chain that it stands in.
        for agent, ends in (("stranger", False), ("orchestrator", True)):
            await world.post("/oauth/revoke", agent, {"token": f"{root}~{consent}"})
            answer = await world.exchange("researcher", root, consent=consent)
            assert (answer.status_code == 200) is not ends
            assert succeeded(await world.call("researcher", chain=(root, consent))) is not ends
        assert why(answer) == "revoked.hop"


async def test_a_token_for_everything_or_for_elsewhere_is_not_issued(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        for resource in (f"{world.url}/mcp/nothing", f"{world.url}/mcp/crm/", "https://elsewhere.example"):
            assert (
                why(await world.exchange("orchestrator", "m-1", resource=resource)) == "oauth.invalid_target"
            )
        both = [world.url, f"{world.url}/mcp/crm"]
        assert why(await world.exchange("orchestrator", "m-1", resource=both)) == "oauth.invalid_target"
        for changes, code in (
            ({"grant_type": "client_credentials"}, "oauth.unsupported_grant_type"),
            ({"grant_type": "password"}, "oauth.unsupported_grant_type"),
            ({"requested_token_type": oauth.TYPE_JWT}, "oauth.invalid_request"),
            ({"subject_token_type": oauth.TYPE_JWT}, "oauth.invalid_request"),
            ({"actor_token": "x", "actor_token_type": oauth.TYPE_ACCESS}, "oauth.invalid_request"),
            ({"actor_token": "x"}, "oauth.invalid_request"),
            ({"subject_token": ["m-1", "m-1"]}, "oauth.invalid_request"),
            ({"client_id": "researcher"}, "client.subject"),
        ):
            assert why(await world.exchange("orchestrator", "m-1", **changes)) == code, changes


async def test_a_statement_of_a_client_is_for_us_short_its_own_and_good_once(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        now = world.now() // 1000
        for changes, code in (
            ({"aud": "https://elsewhere.example"}, "client.audience"),
            ({"aud": [world.url, "https://elsewhere.example"]}, "client.audience"),
            ({"aud": f"{world.url}/"}, "client.audience"),
            ({"sub": "researcher"}, "client.subject"),
            ({"iss": "researcher", "sub": "researcher"}, "client.subject"),
            ({"exp": now + 3_600}, "client.time"),
            ({"exp": now - 1}, "client.time"),
            ({"exp": None}, "client.time"),
            ({"iat": now + 600}, "client.time"),
            ({"nbf": now + 600}, "client.time"),
            ({"jti": None}, "client.subject"),
            ({"jti": "x" * 300}, "client.subject"),
        ):
            assertion = world.assertion("orchestrator", **changes)
            answer = await world.exchange("orchestrator", "m-1", by="assertion", client_assertion=assertion)
            assert (answer.status_code, answer.json()["answerable_code"]) == (401, code), changes
        forged = world.assertion("orchestrator", key=signing_key("nobody"))
        answer = await world.exchange("orchestrator", "m-1", by="assertion", client_assertion=forged)
        assert answer.status_code == 401
        assertion, found = world.assertion("orchestrator"), []

        async def ask():
            answer = await world.exchange("orchestrator", "m-1", by="assertion", client_assertion=assertion)
            found.append((answer.status_code, answer.json().get("answerable_code")))

        await world.at_once(ask, times=64)
        assert sorted(found, key=str) == [(200, None), *[(401, "client.replay")] * 63]


@pytest.mark.requirement("TOKEN-07")
async def test_however_many_ask_at_once_no_agent_hands_on_wider_or_deeper_than_the_mandate_says(tmp_path):
    async with token_world(tmp_path) as world:
        to = Delegability(depth_max=2, width_max=2, to=("use_case:support",))
        await world.mandate(delegability=to)
        root = await world.root()
        read = narrow(("crm.read",), root)
        takers = ("researcher", "writer", "stranger")
        consents = {agent: world.handed((root,), "orchestrator", agent, read) for agent in takers}
        found: dict[str, list[str]] = {agent: [] for agent in takers}

        async def ask(agent):
            answer = await world.exchange(agent, root, consent=consents[agent])
            found[agent].append(answer.json().get("answerable_code", "issued"))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                for agent in takers:
                    tasks.start_soon(ask, agent)
        issued = [agent for agent in takers if set(found[agent]) == {"issued"}]
        refused = [agent for agent in takers if set(found[agent]) == {"delegation.width"}]
        assert (len(issued), len(refused)) == (2, 1), found
        chain = tuple(
            (await world.exchange(issued[0], root, consent=consents[issued[0]]))
            .json()["delegation"]
            .split("~")
        )
        deeper = world.handed(chain, issued[0], issued[1], read)
        chain = (*chain, deeper)
        assert succeeded(await world.call(issued[1], chain=chain))
        with pytest.raises(Exception, match="of its first hop allows"):
            world.handed(chain, issued[1], "stranger", read)
        answer = await world.exchange(issued[1], deeper, delegation="~".join(chain[:-1]))
        assert why(answer) == "delegation.depth_invalid"


@pytest.mark.requirement("TOKEN-07")
async def test_no_agent_hands_on_wider_by_signing_itself_or_with_several_tokens(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate(delegability=Delegability(depth_max=2, width_max=1, to=("use_case:support",)))
        root, second = await world.root(), await world.root()
        read = narrow(("crm.read",), root)
        first = world.handed((root,), "orchestrator", "researcher", read)
        assert succeeded(await world.call("researcher", chain=(root, first)))
        for agent, above in (("writer", root), ("stranger", root), ("writer", second)):
            hop = world.handed((above,), "orchestrator", agent, read)
            assert "which agent `orchestrator` has done" in why_not(
                await world.call(agent, chain=(above, hop))
            )
            assert why(await world.exchange(agent, above, consent=hop)) == "delegation.width"
        # The same one again, with another token, is no more of them; and it has places of its own.
        again = world.handed((second,), "orchestrator", "researcher", read)
        assert succeeded(await world.call("researcher", chain=(second, again)))
        deeper = world.handed((second, again), "researcher", "writer", read)
        assert succeeded(await world.call("writer", chain=(second, again, deeper)))


@pytest.mark.requirement("TOKEN-07", "MISSION-04")
async def test_who_is_not_named_as_a_receiver_gets_nothing_by_any_way(tmp_path):
    async with token_world(tmp_path) as world:
        to = Delegability(depth_max=1, width_max=1, to=("agent:researcher",))
        await world.mandate(delegability=to)
        await world.mandate(identity="m-2", delegability=Delegability())
        root = await world.root()
        hop = world.handed((root,), "orchestrator", "writer", narrow(("crm.read",), root))
        assert why(await world.exchange("writer", root, consent=hop)) == "delegation.receiver"
        assert "may not be delegated to agent `writer`" in why_not(
            await world.call("writer", chain=(root, hop))
        )
        only = await world.root("m-2")
        assert succeeded(await world.call("orchestrator", chain=(only,)))
        with pytest.raises(Exception, match="allows"):
            world.handed((only,), "orchestrator", "researcher", narrow(("crm.read",), only))


async def test_a_token_never_outlives_what_it_derives_from(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate(seconds=20)
        root = await world.root()
        ends = read_hop(root).expires_at
        assert ends <= world.now() + 20_000
        read = narrow(("crm.read",), root)
        with pytest.raises(Exception, match="outlives"):
            world.handed((root,), "orchestrator", "researcher", read, expires_at=UnixMillis(ends + 1_000))
        consent = world.handed(
            (root,), "orchestrator", "researcher", read, expires_at=UnixMillis(ends - 5_000)
        )
        answer = await world.exchange("researcher", root, consent=consent)
        assert read_hop(answer.json()["access_token"]).expires_at <= ends


async def test_what_was_revoked_or_closed_is_exchanged_no_more(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        await world.mandate(identity="m-2")
        root = await world.root()
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("mandate", "m-1"),
            by="operator",
        )
        assert why(await world.exchange("orchestrator", "m-1")) in ("revoked.mandate", "mandate.closed")
        assert why(await world.exchange("orchestrator", root)) in ("revoked.mandate", "mandate.closed")
        world.walk.authority.mandates.close(MandateId("m-2"))
        assert why(await world.exchange("orchestrator", "m-2")) == "mandate.closed"


def json_of(value):
    return encode(value).decode()
