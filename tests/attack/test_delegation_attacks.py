"""What a stranger, a hostile agent or a greedy one could present as a chain of hops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.constraint import Max
from answerable.core.mandate.delegation_chain import (
    chain_failure,
)
from answerable.core.mandate.hop_token import (
    confirmation_of,
    read_raw,
    thumbprint_uri,
)
from answerable.errors import Unverified
from answerable.testing.delegation import (
    AGENTS,
    ISSUER,
    LEAST,
    NARROW,
    NOW,
    RESERVED,
    SERVICE,
    WIDE,
    below,
    claims_in,
    forged,
    hop,
    online,
    refund,
    root,
    three,
    trusted,
    verify,
)
from tests.worlds.delegation_forgery import refused, resigned

STRANGER = AGENTS["stranger"]


@pytest.mark.requirement("DELEG-06")
def test_the_genuine_article_is_accepted_so_that_the_refusals_mean_something():
    chain = verify(three())
    assert [(one.agent, one.form) for one in chain.hops] == [
        ("orchestrator", "online"),
        ("researcher", "online"),
        ("writer", "offline"),
    ]
    assert chain_failure(chain, refund(), reserved=RESERVED) is None


@pytest.mark.requirement("DELEG-06")
@pytest.mark.parametrize(
    "issuer", [ISSUER, "alice", "urn:stranger", thumbprint_uri(STRANGER.public.thumbprint)]
)
def test_a_chain_that_a_stranger_made_up_in_a_persons_name_is_refused(issuer):
    token = resigned(root(agent="stranger"), STRANGER, iss=issuer)
    assert refused((token,)) == "signature_invalid"
    # Nor does it help to put the name of the service's key into the header.
    token = resigned(root(agent="stranger"), STRANGER, header={"kid": SERVICE.public.thumbprint})
    assert refused((token,)) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_an_agent_cannot_be_the_root_of_its_own_chain():
    """Its own hop names its key in `cnf`, but a first hop has no parent whose key could sign."""
    own = AGENTS["researcher"]
    token = resigned(root(agent="researcher"), own, iss=thumbprint_uri(own.public.thumbprint))
    assert refused((token,)) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_a_sibling_and_a_grandparent_cannot_sign_below_a_hop_that_is_not_theirs():
    first, second, third = three()
    for name in ("orchestrator", "clerk", "writer", "stranger"):
        key = AGENTS[name]
        for issuer in (
            thumbprint_uri(key.public.thumbprint),
            thumbprint_uri(AGENTS["researcher"].public.thumbprint),
        ):
            assert refused((first, second, resigned(third, key, iss=issuer))) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_an_agent_cannot_pass_its_own_hop_off_as_one_that_the_service_issued():
    first, second, third = three()
    researcher = AGENTS["researcher"]
    assert refused((first, second, resigned(third, researcher, iss=ISSUER))) == "signature_invalid"
    kid = {"kid": SERVICE.public.thumbprint}
    assert (
        refused((first, second, resigned(third, researcher, iss=ISSUER, header=kid))) == "signature_invalid"
    )


@pytest.mark.requirement("DELEG-06")
def test_a_parent_that_names_its_key_by_thumbprint_alone_cannot_hand_on_offline():
    terms = hop("researcher", NARROW, seconds=900)
    bare = replace(terms, confirmation=replace(terms.confirmation, key=None))
    first = root()
    second = online((first,), bare)
    researcher = AGENTS["researcher"]
    token = resigned(three()[2], researcher, par_hash=read_raw(second).hash)
    assert refused((first, second, token)) == "signature_invalid"
    with pytest.raises(Unverified, match="only a token service"):
        below((first, second), "researcher", hop("writer", LEAST))


@pytest.mark.requirement("DELEG-06")
def test_a_garbage_signature_under_an_unknown_parent_says_nothing_of_either():
    first, second, third = three()
    claims = {**claims_in(third), "par_hash": "A" * 43, "iss": thumbprint_uri("B" * 43)}
    token = forged(claims, STRANGER).rpartition(".")[0] + "." + "A" * 86
    for tokens in ((token,), (first, token), (first, second, token)):
        assert refused(tokens) == "signature_invalid"


@pytest.mark.requirement("DELEG-01")
@pytest.mark.parametrize(
    "wider",
    [
        replace(LEAST, scopes=("crm.refund", "crm.export")),
        replace(LEAST, scopes=("crm.*",)),
        replace(LEAST, constraints=LEAST.constraints[1:]),
        replace(LEAST, constraints=()),
        replace(
            LEAST, constraints=(Max(key="argument:crm.refund:amount", bound=1001), *LEAST.constraints[1:])
        ),
        WIDE,
    ],
)
def test_a_child_made_by_hand_to_have_more_than_its_parent_is_refused(wider):
    """Signed by the very key that may sign: only what is in it is wrong."""
    first, second, third = three()
    token = resigned(third, AGENTS["researcher"], authorization_details=[detail_of(wider)])
    assert refused((first, second, token)) == "not_narrower"


@pytest.mark.requirement("DELEG-09")
@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"sub": "bob"}, "principal_altered"),
        ({"del_depth": 1}, "depth_invalid"),
        ({"del_depth": 3}, "depth_invalid"),
        ({"del_depth": True}, "depth_invalid"),
        ({"del_depth": "2"}, "depth_invalid"),
        ({"del_max_depth": 7}, "not_narrower"),
        ({"del_max_depth": 2}, "depth_invalid"),
        ({"del_max_depth": 0}, "malformed"),
        ({"par_hash": None}, "par_hash_mismatch"),
        ({"par_hash": "A" * 43}, "par_hash_mismatch"),
        ({"par_hash": "ä"}, "par_hash_mismatch"),
        ({"mission": None}, "malformed"),
        ({"mission": {"id": "m-2", "authority_hash": "sha-256:" + "A" * 43}}, "mission_altered"),
        ({"exp": NOW // 1000 + 901}, "expired"),
        ({"exp": NOW // 1000 + 301}, "expired"),
        ({"iat": NOW // 1000 + 61, "exp": NOW // 1000 + 240}, "expired"),
        ({"nbf": NOW // 1000 + 61}, "expired"),
        ({"exp": NOW // 1000}, "expired"),
        ({"aud": "elsewhere.test"}, "audience_mismatch"),
        ({"jti": "hop-orchestrator"}, "malformed"),
    ],
)
def test_a_last_hop_that_lies_about_its_place_is_refused_by_the_name_of_the_lie(changes, outcome):
    first, second, third = three()
    token = resigned(third, AGENTS["researcher"], **changes)
    assert refused((first, second, token)) == outcome


@pytest.mark.requirement("DELEG-09")
def test_what_was_given_for_elsewhere_is_not_handed_on_to_here():
    first = root(audiences=("elsewhere.test",))
    token = resigned(three()[1], SERVICE, par_hash=read_raw(first).hash)
    assert refused((first, token)) == "audience_mismatch"


@pytest.mark.requirement("DELEG-09")
def test_possession_and_status_are_asked_and_unknown_is_no():
    asked: list[str] = []

    def proved(confirmation):
        asked.append(confirmation.thumbprint)
        return True

    verify(three(), proved=proved)
    assert asked == [AGENTS["writer"].public.thumbprint], "the key of the last hop, and only it"
    assert refused(three(), proved=lambda _: False) == "holder_binding_failed"
    assert refused(three(), proved=lambda _: None) == "holder_binding_failed"
    for ended in ("hop-orchestrator", "hop-researcher", "hop-writer"):
        told = {"status": lambda one, ended=ended: "revoked" if one.jti == ended else "valid"}
        assert refused(three(), **told) == "revoked"
        told = {"status": lambda one, ended=ended: "unknown" if one.jti == ended else "valid"}
        assert refused(three(), **told) == "status_unknown"
    assert refused(three(), status=lambda _: None) == "status_unknown"


@pytest.mark.requirement("DELEG-06")
def test_a_chain_with_a_key_of_each_kind_verifies():
    first = root(agent="clerk")
    second = below((first,), "clerk", hop("writer", NARROW))
    assert verify((first, second)).leaf.confirmation == confirmation_of(AGENTS["writer"].public)
    assert verify((first, second)).leaf.form == "offline"
    assert refused((first, second), keys_of=lambda issuer: ()) == "signature_invalid"
    assert refused((first, second), audience="elsewhere.test") == "audience_mismatch"
    assert refused((first, second), now=UnixMillis(NOW + 240_000)) == "expired"
    assert trusted("anybody") == ()
