"""From what a workload shows to evidence, by each way."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.adapters.sqlite import SqliteJoinTokens
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.workload.attestation import enrolment_audience, possession_message
from answerable.core.identity.workload.oidc_claims import IssuerTerms
from answerable.errors import AnswerableError, Malformed
from answerable.ports.process_observer import ProcessFacts
from answerable.testing import ManualClock
from answerable.testing.registers import fresh
from tests.worlds.attestation import (
    ISSUER,
    OWN_DOMAIN,
    THUMBPRINT,
    Authority,
    attestor,
    claims,
    curve_key,
    edwards_key,
    possession,
    ssh_certificate,
    ssh_line,
    ssh_signature,
    token,
)
from tests.worlds.federation import Authority as FederatedAuthority
from tests.worlds.federation import WallClock
from tests.worlds.svid import token as signed_token

FACTS = ProcessFacts(
    process="b:1:2", uid=1000, gid=100, path="/usr/bin/agent", sha256="a" * 64, cgroup="/app"
)


def test_a_process_is_known_by_the_kernel():
    found = attestor().unix(FACTS)
    assert (found.source, found.grade) == ("unix", "kernel")
    assert found.selectors == (
        "unix:cgroup:/app",
        "unix:gid:100",
        "unix:path:/usr/bin/agent",
        "unix:sha256:" + "a" * 64,
        "unix:uid:1000",
    )


def test_what_could_not_be_measured_gives_no_selector():
    bare = ProcessFacts(process="b:1:2", uid=0, gid=0)
    assert attestor().unix(bare).selectors == ("unix:gid:0", "unix:uid:0")


def test_a_process_of_another_world_has_no_path():
    foreign = ProcessFacts(process="b:1:2", uid=0, gid=0, path="/usr/bin/agent", foreign=("mount",))
    assert "unix:path:/usr/bin/agent" not in attestor().unix(foreign).selectors
    elsewhere = ProcessFacts(
        process="b:1:2", uid=0, gid=0, path="/usr/bin/agent", sha256="a" * 64, foreign=("user",)
    )
    assert attestor().unix(elsewhere).selectors == ("unix:gid:0", "unix:uid:0")


def test_a_join_token_is_made_and_used_once():
    clock = ManualClock()
    desk = attestor(clock=clock)
    text = desk.new_join_token("first", AgentId("biller"))
    found = desk.join_token(text)
    assert (found.source, found.grade) == ("join_token", "gateway")
    assert found.selectors == ("join_token:agent:biller", "join_token:name:first")
    with pytest.raises(AnswerableError) as told:
        desk.join_token(text)
    assert told.value.code == "join_token.refused"


def test_a_join_token_ends_after_ten_minutes():
    clock = ManualClock()
    desk = attestor(clock=clock, tokens=fresh(SqliteJoinTokens))
    text = desk.new_join_token("first", AgentId("biller"))
    clock.advance(600)
    with pytest.raises(AnswerableError) as told:
        desk.join_token(text)
    assert (told.value.code, text in told.value.message) == ("join_token.refused", False)


def test_old_join_tokens_are_forgotten_when_a_new_one_is_made():
    clock, tokens = ManualClock(), fresh(SqliteJoinTokens, tokens_max=2)
    desk = attestor(clock=clock, tokens=tokens)
    for name in ("a", "b"):
        desk.new_join_token(name, AgentId("biller"))
    with pytest.raises(Malformed) as told:
        desk.new_join_token("c", AgentId("biller"))
    assert told.value.code == "join_token.full"
    clock.advance(86_400 + 601)
    desk.new_join_token("c", AgentId("biller"))
    assert [one.name for one in tokens.all()] == ["c"]


@pytest.mark.anyio
async def test_a_token_of_a_configured_issuer_is_evidence():
    found = await attestor().oidc(token(claims()))
    assert (found.source, found.grade) == ("oidc", "gateway")
    assert "oidc:sub:workload-1" in found.selectors
    assert await attestor().oidc(token(claims()), "answerable") == found


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "audience"),
    [
        (claims(iss="https://foreign.test"), ""),
        (claims(), "other"),
        (claims(iss="https://cluster.test"), ""),
        (claims(iss=""), ""),
    ],
)
async def test_a_token_of_anybody_else_is_not(body, audience):
    with pytest.raises(AnswerableError) as told:
        await attestor().oidc(token(body), audience)
    assert told.value.code == "oidc.issuer"


def test_certificate_and_host_key_are_evidence_once_for_each_challenge():
    root = Authority("root")
    key, host, ca = curve_key("leaf"), edwards_key("host"), edwards_key("ca")
    clock = ManualClock()
    desk = attestor(clock=clock, pem=root.pem, known_hosts=f"@cert-authority * {ssh_line(ca)}")

    challenge = desk.challenge()
    shown = ([root.leaf(key)], possession(key, possession_message(challenge, THUMBPRINT)))
    found = desk.x509_pop(*shown, challenge, THUMBPRINT)
    assert (found.source, found.grade) == ("x509_pop", "gateway")
    with pytest.raises(AnswerableError) as told:
        desk.x509_pop(*shown, challenge, THUMBPRINT)
    assert told.value.code == "challenge.used"

    challenge = desk.challenge()
    line, made = ssh_certificate(host, ca), ssh_signature(host, possession_message(challenge, THUMBPRINT))
    found = desk.ssh(line, made, challenge, THUMBPRINT)
    assert (found.source, found.grade) == ("ssh_host_key", "gateway")
    clock.advance(62)
    with pytest.raises(AnswerableError) as told:
        desk.ssh(line, made, challenge, THUMBPRINT)
    assert told.value.code == "challenge.expired"


def test_a_wrong_proof_does_not_use_up_a_challenge():
    root, key = Authority("root"), curve_key("leaf")
    desk = attestor(pem=root.pem)
    challenge = desk.challenge()
    with pytest.raises(AnswerableError):
        desk.x509_pop([root.leaf(key)], b"x", challenge, THUMBPRINT)
    good = possession(key, possession_message(challenge, THUMBPRINT))
    assert desk.x509_pop([root.leaf(key)], good, challenge, THUMBPRINT)


def test_an_svid_of_another_trust_domain_is_evidence_by_its_key_or_for_this_key():
    theirs = FederatedAuthority("theirs.example")
    leaf = theirs.svid("/crm")
    desk = attestor(clock=WallClock(), bundles={TrustDomain(theirs.domain): theirs.bundle()})
    challenge = desk.challenge()
    made = possession(leaf.key, possession_message(challenge, THUMBPRINT))
    found = desk.x509_svid(leaf.chain, made, challenge, THUMBPRINT)
    assert (found.source, found.grade) == ("spiffe", "gateway")
    assert found.selectors == (
        "spiffe:id:spiffe://theirs.example/crm",
        "spiffe:under:spiffe://theirs.example",
    )
    with pytest.raises(AnswerableError) as told:
        desk.x509_svid(leaf.chain, made, challenge, THUMBPRINT)
    assert told.value.code == "challenge.used"
    claims_of_theirs = {
        "sub": "spiffe://theirs.example/crm",
        "aud": enrolment_audience(OWN_DOMAIN, THUMBPRINT),
        "exp": WallClock().now() // 1000 + 60,
    }
    text = signed_token({"alg": "ES256", "kid": "jwt-1"}, claims_of_theirs, theirs.key)
    assert desk.jwt_svid(text, THUMBPRINT) == found
    with pytest.raises(AnswerableError) as told:
        desk.jwt_svid(text, "B" * 43)
    assert told.value.code == "svid.audience"


def test_a_client_certificate_is_evidence_while_it_is_valid():
    clock = ManualClock()
    leaf = Authority("root").leaf(curve_key("leaf"))
    found = attestor(clock=clock).mtls(leaf)
    assert (found.source, found.grade) == ("mtls", "gateway")
    assert found.selectors == (f"mtls:sha256:{sha256(leaf).hexdigest()}",)
    for days in (-2, 40):
        late = ManualClock(now=clock.now() + days * 86_400_000)
        with pytest.raises(AnswerableError) as told:
            attestor(clock=late).mtls(leaf)
        assert told.value.code == "mtls.expired"
    for none in (b"", b"no certificate"):
        with pytest.raises(AnswerableError) as told:
            attestor(clock=clock).mtls(none)
        assert told.value.code == "mtls.certificate"


def test_a_name_that_is_none_makes_no_token():
    with pytest.raises(Malformed):
        attestor().new_join_token("Not A Name", AgentId("biller"))
    assert IssuerTerms(issuer=ISSUER, audience="x").kind == "oidc"
