"""Foreign domains, their servers and the networks between, as they would cheat us."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from answerable.adapters.bundle_http import HttpBundleEndpoint
from answerable.core.identity.names.spiffe_id import TrustDomain, spiffe_id
from answerable.core.identity.svid.federation import federation_source, federation_sources
from answerable.core.identity.svid.trust_bundle import BUNDLE_BYTES_MAX, TrustBundle
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Malformed, Unavailable, Unverified
from answerable.flows.workloads.follow_bundles import BundleFollowing
from answerable.testing.entropy import SeededEntropy
from tests.worlds.federation import (
    HOUR,
    SERVER_PATH,
    Authority,
    WallClock,
    answer,
    context_of,
    serving,
    spiffe_endpoint,
    web_endpoint,
)

pytestmark = pytest.mark.anyio

DOMAIN = "partner.example"


@pytest.fixture
def partner() -> Authority:
    return Authority(DOMAIN)


def good(authority: Authority, **how):
    return {"/bundle.json": answer(authority.document(**how), content_type="application/json")}


async def refused(endpoint, code: str) -> str:
    with pytest.raises(Unavailable) as told:
        await endpoint.fetch()
    assert told.value.code == code, told.value.message
    return told.value.message


@pytest.mark.requirement("FED-01")
async def test_a_foreign_domain_cannot_speak_for_ours_in_settings():
    ours = TrustDomain("ours.example")
    with pytest.raises(Malformed) as told:
        federation_sources([f"{ours} https_web https://partner.example/"], own=ours)
    assert told.value.code == "federation.own"


@pytest.mark.requirement("FED-01")
async def test_a_foreign_domain_that_certifies_our_name_is_not_believed(partner, tmp_path):
    ours = Authority("ours.example")
    held = {TrustDomain(one.domain): one.bundle() for one in (ours, partner)}
    forged = partner.leaf("spiffe://ours.example/answerable/gateway", issuer=ours.certificate.subject)
    with pytest.raises(Unverified):
        verified_x509_svid(forged.chain, bundle_of=held.get, now=WallClock().now())
    # With the foreign authority beside it in the chain, too.
    with pytest.raises(Unverified):
        verified_x509_svid((*forged.chain, partner.der), bundle_of=held.get, now=WallClock().now())


@pytest.mark.requirement("FED-01")
async def test_a_bundle_served_for_another_domain_speaks_for_the_configured_one_only(partner, tmp_path):
    """B's endpoint serves A's keys: they become keys of B, and whoever holds them gains nothing with A."""
    bank = Authority("bank.example")
    document = json.loads(bank.document()) | {
        "trust_domain": "bank.example",
        "issuer": "spiffe://bank.example",
    }
    async with serving(
        context_of(partner.svid(), tmp_path), {"/bundle.json": answer(json.dumps(document).encode())}
    ) as server:
        fetched = await spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()).fetch()
    assert fetched.trust_domain == DOMAIN
    held = {fetched.trust_domain: fetched}
    with pytest.raises(Unverified):
        verified_x509_svid(bank.svid("/teller").chain, bundle_of=held.get, now=WallClock().now())


@pytest.mark.requirement("FED-02")
async def test_a_server_with_another_id_of_the_same_domain_gets_no_request(partner, tmp_path):
    async with serving(context_of(partner.svid("/some/workload"), tmp_path), good(partner)) as server:
        said = await refused(
            spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted"
        )
        assert "/some/workload" in said
        assert server.seen == []


@pytest.mark.requirement("FED-02")
@pytest.mark.parametrize("how", [{"ends": timedelta(minutes=-5)}, {"begins": timedelta(minutes=30)}])
async def test_a_server_whose_svid_is_out_of_its_time_gets_no_request(partner, tmp_path, how):
    async with serving(context_of(partner.svid(**how), tmp_path), good(partner)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
        assert server.seen == []


@pytest.mark.requirement("FED-02")
async def test_a_server_known_to_another_authority_of_that_name_gets_no_request(partner, tmp_path):
    imposter = Authority(DOMAIN)
    async with serving(context_of(imposter.svid(), tmp_path), good(imposter)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
        assert server.seen == []


@pytest.mark.requirement("FED-02")
async def test_an_authority_of_one_domain_does_not_vouch_for_the_server_of_another(partner, tmp_path):
    """The bundle of the server's ID is the one that counts, though we hold the foreign authority's, too."""
    other = Authority("other.example")
    crossed = other.leaf(f"spiffe://{DOMAIN}{SERVER_PATH}", issuer=partner.certificate.subject)
    async with serving(context_of(crossed, tmp_path), good(other)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=other.bundle()), "bundle.untrusted")
        assert server.seen == []


@pytest.mark.requirement("FED-02")
async def test_two_names_in_the_servers_certificate_are_none(partner, tmp_path):
    both = partner.leaf(f"spiffe://{DOMAIN}{SERVER_PATH}", f"spiffe://{DOMAIN}/other")
    async with serving(context_of(both, tmp_path), good(partner)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
        assert server.seen == []


@pytest.mark.requirement("FED-02")
async def test_the_host_name_and_a_web_certificate_count_for_nothing_under_https_spiffe(partner, tmp_path):
    web = Authority()
    async with serving(context_of(web.leaf("127.0.0.1", "localhost"), tmp_path), good(partner)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
        assert server.seen == []


@pytest.mark.requirement("FED-02")
async def test_without_any_bundle_no_server_is_believed(partner, tmp_path):
    async with serving(context_of(partner.svid(), tmp_path), good(partner)) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url()), "bundle.untrusted")
        assert server.handshakes == 0


@pytest.mark.requirement("FED-02")
async def test_after_the_first_contact_its_file_is_not_believed_any_more(partner, tmp_path):
    """The authority of the file was withdrawn: whoever stole its key is not let in by our old configuration."""
    renewed = Authority(DOMAIN)
    (tmp_path / "first.json").write_bytes(partner.document())
    async with serving(context_of(partner.svid(), tmp_path), good(partner)) as server:
        first = spiffe_endpoint(DOMAIN, server.url(), file=str(tmp_path / "first.json"))
        assert (await first.fetch()).x509_authorities == (partner.der,)
        later = spiffe_endpoint(
            DOMAIN, server.url(), file=str(tmp_path / "first.json"), known=renewed.bundle()
        )
        await refused(later, "bundle.untrusted")
        assert len(server.seen) == 1


@pytest.mark.requirement("FED-02")
async def test_a_bundle_that_was_given_up_brings_the_file_of_the_first_contact_not_back(partner, tmp_path):
    """The thief of a withdrawn key keeps the true endpoint silent until we drop what we know: it gains nothing."""
    first, renewed = tmp_path / "first.json", Authority(DOMAIN)
    first.write_bytes(partner.document())
    held: dict[TrustDomain, TrustBundle] = {}
    async with serving(context_of(partner.svid(), tmp_path), good(partner)) as server:
        endpoint = HttpBundleEndpoint(
            source=federation_source(
                f"{DOMAIN} https_spiffe {server.url()} spiffe://{DOMAIN}{SERVER_PATH} {first}"
            ),
            bundle_of=held.get,
            clock=WallClock(),
        )
        held[TrustDomain(DOMAIN)] = await endpoint.fetch()
        held[TrustDomain(DOMAIN)] = renewed.bundle(sequence=2)
        await refused(endpoint, "bundle.untrusted")
        held.clear()
        assert "outdated" in await refused(endpoint, "bundle.untrusted")
        first.write_bytes(renewed.document())
        await refused(endpoint, "bundle.untrusted")
        assert len(server.seen) == 1
    async with serving(context_of(renewed.svid(), tmp_path), good(renewed)) as server:
        endpoint._source = replace(endpoint.source, address=server.url())
        assert (await endpoint.fetch()).x509_authorities == (renewed.der,)


@pytest.mark.requirement("FED-02")
@pytest.mark.parametrize("content", [None, b"", b"half a bun", b" " * (BUNDLE_BYTES_MAX + 1)])
async def test_a_file_for_the_first_contact_that_cannot_be_read_is_none(partner, tmp_path, content):
    if content is not None:
        (tmp_path / "first.json").write_bytes(content)
    async with serving(context_of(partner.svid(), tmp_path), good(partner)) as server:
        endpoint = spiffe_endpoint(DOMAIN, server.url(), file=str(tmp_path / "first.json"))
        await refused(endpoint, "bundle.untrusted")
        known = spiffe_endpoint(
            DOMAIN, server.url(), file=str(tmp_path / "first.json"), known=partner.bundle()
        )
        assert (await known.fetch()).x509_authorities == (partner.der,)


@pytest.mark.requirement("FED-03")
@pytest.mark.parametrize("content", [None, b"no certificates"])
async def test_authorities_that_cannot_be_read_are_none(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    await refused(
        web_endpoint(DOMAIN, "https://127.0.0.1:9/", ca=str(tmp_path / "ca.pem")), "bundle.untrusted"
    )


@pytest.mark.requirement("FED-03")
async def test_web_servers_are_held_to_host_and_authority(partner, tmp_path):
    web, stranger = Authority(), Authority()
    (tmp_path / "ca.pem").write_bytes(web.pem)
    for leaf in (
        web.leaf("another.example"),
        stranger.leaf("127.0.0.1"),
        web.leaf("127.0.0.1", ends=-0.5 * HOUR),
    ):
        async with serving(context_of(leaf, tmp_path), good(partner)) as server:
            endpoint = web_endpoint(DOMAIN, server.url(), ca=str(tmp_path / "ca.pem"))
            await refused(endpoint, "bundle.untrusted")
            assert server.seen == []
    async with serving(context_of(web.leaf("127.0.0.1"), tmp_path), good(partner)) as server:
        await refused(
            web_endpoint(DOMAIN, server.url()), "bundle.untrusted"
        )  # The system knows no such authority.
        assert server.seen == []


@pytest.mark.requirement("FED-06")
async def test_a_bundle_that_goes_back_brings_no_withdrawn_key_back(partner, tmp_path):
    """Replayed by a cache or a restored server: the old authority stays out."""
    renewed = Authority(DOMAIN)
    domain = TrustDomain(DOMAIN)
    now_served = {"/bundle.json": answer(renewed.document(sequence=9))}
    async with serving(context_of(renewed.svid(), tmp_path), now_served) as server:
        held = {domain: renewed.bundle(sequence=8)}
        endpoint = spiffe_endpoint(DOMAIN, server.url(), known=renewed.bundle(sequence=8))

        def put(bundle):
            held[domain] = bundle

        following = BundleFollowing(
            endpoints=[endpoint],
            bundle=held.get,
            put=put,
            drop=held.__delitem__,
            clock=WallClock(),
            entropy=SeededEntropy(1),
        )
        assert (await following.refresh(domain)).sequence == 9
        now_served["/bundle.json"] = answer(partner.document(sequence=3))
        state = await following.refresh(domain)
    assert (state.state, state.sequence) == ("alarm", 9)
    assert "sequence 9 to 3" in state.reason
    assert held[domain].x509_authorities == (renewed.der,)
    with pytest.raises(Unverified):
        verified_x509_svid(partner.svid("/w").chain, bundle_of=held.get, now=WallClock().now())


@pytest.mark.requirement("FED-06")
async def test_an_emptied_bundle_ends_all_belief_in_the_domain(partner, tmp_path):
    """The mass revocation of the other side: no keys at all."""
    emptied = {"/bundle.json": answer(b'{"keys": [], "spiffe_sequence": 2}')}
    async with serving(context_of(partner.svid(), tmp_path), emptied) as server:
        fetched = await spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()).fetch()
    held = {fetched.trust_domain: fetched}
    with pytest.raises(Unverified):
        verified_x509_svid(partner.svid("/w").chain, bundle_of=held.get, now=WallClock().now())


@pytest.mark.requirement("FED-02")
async def test_ids_that_only_look_alike_are_others(partner, tmp_path):
    for path in (SERVER_PATH.upper(), SERVER_PATH + "/x", "/x" + SERVER_PATH):
        assert spiffe_id(f"spiffe://{DOMAIN}{path}") != spiffe_id(f"spiffe://{DOMAIN}{SERVER_PATH}")
        async with serving(context_of(partner.svid(path), tmp_path), good(partner)) as server:
            endpoint = spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle())
            await refused(endpoint, "bundle.untrusted")
