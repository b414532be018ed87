"""What our own functions will not mint, whoever holds the key."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.mandate.hop_signing import issue_root
from answerable.core.mandate.hop_token import (
    Confirmation,
    confirmation_by,
    thumbprint_uri,
)
from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    AGENTS,
    LEAST,
    NARROW,
    SERVICE,
    WIDE,
    below,
    claims_in,
    hop,
    online,
    root,
    three,
    verify,
)
from tests.worlds.delegation_forgery import refused, resigned


@pytest.mark.requirement("DELEG-13")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authority": WIDE}, "not_narrower"),
        ({"seconds": 1000}, "expired"),
        ({"seconds": 301}, "expired"),
        ({"seconds": 0}, "expired"),
        ({"audiences": ("answerable.test", "elsewhere.test")}, "audience_mismatch"),
        ({"audiences": ()}, "malformed"),
        ({"depth_limit": 7}, "not_narrower"),
        ({"depth_limit": 2}, "depth_invalid"),
        ({"jti": "hop-researcher"}, "malformed"),
        ({"more": {"sub": "bob"}}, "malformed"),
        ({"more": {"par_hash": "A" * 43}}, "malformed"),
        ({"more": {"del_depth": 0}}, "malformed"),
        ({"jti": "x" * 513}, "malformed"),
    ],
)
def test_nobody_mints_by_our_functions_what_our_verifier_would_refuse(changes, code):
    first, second, _ = three()
    with pytest.raises((Malformed, Unverified)) as raised:
        below((first, second), "researcher", hop("writer", **{"authority": LEAST, **changes}))
    assert raised.value.code == f"delegation.{code}"


@pytest.mark.requirement("DELEG-13")
def test_only_the_holder_of_the_last_hop_mints_below_it():
    first, second, third = three()
    terms = hop("clerk", LEAST)
    for name in ("orchestrator", "writer", "stranger", "clerk"):
        with pytest.raises(Unverified) as raised:
            below((first, second), name, terms)
        assert raised.value.code == "delegation.signature_invalid"
    with pytest.raises(Malformed):
        below((), "researcher", terms)
    with pytest.raises(Malformed):
        online((), terms)
    with pytest.raises(Malformed):
        below((second,), "researcher", hop("writer", LEAST))
    with pytest.raises(Malformed):
        below((resigned(first, SERVICE, mission=None),), "orchestrator", hop("researcher", NARROW))
    with pytest.raises(Malformed):
        below((resigned(first, SERVICE, del_depth="0"),), "orchestrator", hop("researcher", NARROW))
    # A hop that its own parent signed may be handed on again, by its holder or by the service.
    fourth = online((first, second, third), hop("clerk", LEAST))
    assert [one.form for one in verify((first, second, third, fourth)).hops][2:] == ["offline", "online"]
    assert (
        verify((first, second, third, below((first, second, third), "writer", terms))).leaf.agent == "clerk"
    )


@pytest.mark.requirement("DELEG-13")
def test_a_token_service_mints_no_first_hop_that_names_a_key_as_its_issuer_or_no_limit():
    with pytest.raises(Unverified, match="del_max_depth"):
        root(depth_limit=None)
    terms = hop("orchestrator", WIDE, depth_limit=3)
    urn = thumbprint_uri(SERVICE.public.thumbprint)
    mission = verify((root(),)).root.mission
    assert mission is not None
    with pytest.raises(Unverified) as raised:
        issue_root(terms, issuer=urn, principal="alice", mission=mission, key=SERVICE)
    assert raised.value.code == "delegation.signature_invalid"


@pytest.mark.requirement("DELEG-13")
def test_further_claims_are_carried_for_readers_that_know_them():
    more = {
        "act": {"sub": "orchestrator"},
        "txn": "t-1",
        "status": {"status_list": {"idx": 7, "uri": "https://s.test"}},
    }
    token = root(more=more)
    assert {name: claims_in(token)[name] for name in more} == more
    assert verify((token,)).root.agent == "orchestrator"


@pytest.mark.requirement("DELEG-06")
def test_a_hop_bound_to_a_certificate_is_handed_on_by_the_token_service_alone():
    bound = Confirmation(method="x5t#S256", thumbprint=to_base64url(sha256(b"certificate").digest()))
    first = root(confirmation=bound)
    second = online((first,), hop("researcher", NARROW))
    assert verify((first, second)).root.confirmation == bound
    with pytest.raises(Unverified):
        below((first,), "orchestrator", hop("researcher", NARROW))
    own = AGENTS["orchestrator"]
    token = resigned(second, own, iss=thumbprint_uri(bound.thumbprint))
    assert refused((first, token)) == "signature_invalid"


@pytest.mark.requirement("DELEG-09")
def test_a_chain_that_names_no_mandate_is_refused_at_its_first_hop():
    assert refused((resigned(root(), SERVICE, mission=None),)) == "malformed"


@pytest.mark.requirement("DELEG-13")
def test_a_hop_for_a_deployment_is_handed_on_for_one_resource_of_it_and_not_the_other_way():
    whole, part, other = "answerable.test", "answerable.test/mcp/crm", "answerable.test/mcp/files"
    first = root(audiences=(whole,))
    second = below((first,), "orchestrator", hop("researcher", NARROW, audiences=(part,)))
    third = below((first, second), "researcher", hop("writer", LEAST, audiences=(part,)))
    assert verify((first, second, third)).leaf.audiences == (part,)
    for wider in (whole, other, "answerable.test/mcp/crm2", "answerable.testx"):
        with pytest.raises(Unverified) as raised:
            below((first, second), "researcher", hop("writer", LEAST, audiences=(wider,)))
        assert raised.value.code == "delegation.audience_mismatch"


@pytest.mark.requirement("DELEG-06")
def test_a_hop_bound_to_a_process_is_handed_on_by_the_token_service_alone():
    bound = confirmation_by("answerable_process", to_base64url(sha256(b"process").digest()))
    first = root(confirmation=bound)
    assert verify((first, online((first,), hop("researcher", NARROW)))).root.confirmation == bound
    with pytest.raises(Unverified):
        below((first,), "orchestrator", hop("researcher", NARROW))
