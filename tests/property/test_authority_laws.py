"""Laws of the trust domain's authorities on random courses of events, run on the desk that the server runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.identity.svid.authority import STATES, Authority, TrustLimits
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.x509_svid import X509Svid, verified_x509_svid
from answerable.errors import Refused, Unavailable, Unverified
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from tests.worlds.trust import DOMAIN, HOUR, WORKLOAD, TrustWorld, workload_key

KEY = workload_key().public_key()
FORWARD = st.integers(1, 30 * HOUR)
BACKWARD = st.integers(-100 * HOUR, -1)
EVENTS = st.one_of(
    st.tuples(st.just("pass"), FORWARD),
    st.tuples(st.just("jump"), st.one_of(FORWARD, BACKWARD)),
    st.tuples(st.just("rotate"), st.integers(0, 1)),
    st.tuples(st.just("remove"), st.integers(0, 5)),
    st.tuples(st.just("restart"), st.just(0)),
)


LIMITS = st.builds(
    TrustLimits,
    x509_seconds=st.integers(60, 3600),
    jwt_seconds=st.integers(30, 3600),
    ca_seconds=st.integers(6 * 3600 + 3 * 900, 10 * 86_400),
    refresh_hint_seconds=st.integers(10, 900),
)


@dataclass(kw_only=True)
class Course:
    """A server's life: what happens to it, and what was seen of it so far."""

    world: TrustWorld = field(default_factory=TrustWorld)
    seen: dict[str, Authority] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    bundle: TrustBundle = field(default_factory=lambda: TrustBundle(trust_domain=DOMAIN))

    def __post_init__(self) -> None:
        self.desk: TrustDomainState = self.world.desk()
        self.look()

    def happen(self, event: str, value: int) -> None:
        try:
            if event == "pass":
                self.world.clock.advance(value)
            elif event == "jump":
                self.world.clock.jump(value)
            elif event == "rotate":
                self.desk.rotate(activate=bool(value))
            elif event == "remove":
                known = self.desk.authorities()
                self.desk.remove(known[value % len(known)].id if known else "none")
            else:
                self.desk = self.world.desk()
            self.look()
            self.desk.tend()
        except Refused:
            pass  # there is nothing to remove, or no room for more
        self.look()

    def look(self) -> None:
        now = self.desk.authorities()
        bundle = self.desk.bundle(DOMAIN)
        assert bundle is not None
        assert bundle.sequence is not None
        before = self.bundle
        if self.bundle.sequence is not None:
            assert bundle.sequence >= self.bundle.sequence, "the sequence never falls"
            same = bundle.x509_authorities == before.x509_authorities
            assert same == (bundle.sequence == before.sequence), (
                "it grows with the bundle and with nothing else"
            )
        assert sum(a.state == "active" for a in now) <= 1
        for authority in now:
            assert authority.id not in self.gone, "what was forgotten does not come back"
            known = self.seen.get(authority.id)
            if known is not None:
                assert STATES.index(authority.state) >= STATES.index(known.state), "no state is gone back to"
            self.seen[authority.id] = authority
        published = {a.certificate for a in now if a.state != "removed"}
        assert set(bundle.x509_authorities) == published
        assert len(bundle.jwt_authorities) == len(bundle.wit_authorities) == len(published)
        self.gone |= self.seen.keys() - {a.id for a in now}
        self.bundle = bundle


@pytest.mark.requirement("TRUST-03", "TRUST-10")
@given(st.lists(EVENTS, max_size=12))
def test_states_go_forward_and_the_sequence_only_grows_whatever_happens(
    events: list[tuple[str, int]],
) -> None:
    course = Course()
    for event, value in events:
        course.happen(event, value)


@pytest.mark.requirement("TRUST-04", "TRUST-10")
@given(st.lists(EVENTS, max_size=8))
def test_nothing_is_signed_but_what_is_valid_now_and_ends_in_time(events: list[tuple[str, int]]) -> None:
    course = Course()
    issuer = course.world.issuer(course.desk)
    for event, value in events:
        course.happen(event, value)
        issuer = course.world.issuer(course.desk)
        now = course.world.clock.now()
        active = next((a for a in course.desk.authorities() if a.state == "active"), None)
        try:
            svid = issuer.x509(WORKLOAD, KEY)
            token = issuer.jwt(WORKLOAD, ("somebody",))
        except Unavailable:
            svid = None
        if svid is None:
            assert active is None or not active.is_valid(now)
            continue
        assert active is not None
        assert active.not_before <= svid.not_before <= now < svid.not_after <= active.not_after
        assert svid.not_after <= now + course.world.limits.x509_seconds * 1000
        verified = verified_jwt_svid(token, audience="somebody", bundle_of=course.desk.bundle, now=now)
        assert verified.expires_at <= min(active.not_after, now + course.world.limits.jwt_seconds * 1000)


@pytest.mark.requirement("TRUST-01")
@given(LIMITS, st.lists(st.integers(16, 240), min_size=1, max_size=12))
def test_no_client_that_follows_the_hints_is_refused_while_authorities_change(
    limits: TrustLimits, pauses: list[int]
) -> None:
    """A reader's bundle is as old as a hint and half a life allow; a holder's SVID is as old as its life allows."""
    world = TrustWorld(limits=limits)
    desk = world.desk()
    start = world.clock.now()
    bundles: list[tuple[int, TrustBundle]] = []
    signed_until: dict[bytes, int] = {}
    turn = 0
    while world.clock.now() < start + 3 * limits.ca_seconds * 1000:
        now = world.clock.now()
        current = desk.bundle(DOMAIN)
        assert current is not None
        if not bundles or bundles[-1][1] != current:
            bundles.append((now, current))
        signer = desk.signing(now).authority
        longest = max(limits.x509_seconds, limits.jwt_seconds) * 1000
        signed_until[signer.certificate] = min(now + longest, signer.not_after)
        stale = next(b for at, b in reversed(bundles) if at <= max(start, now - limits.announce_millis))
        assert signer.certificate in stale.x509_authorities
        assert signer.jwt_kid in stale.jwt_authorities
        assert signer.wit_kid in stale.wit_authorities
        alive = {certificate for certificate, end in signed_until.items() if end > now}
        assert alive <= set(current.x509_authorities)
        # Timers run late, but never for longer than a sixth of an authority's life is.
        world.clock.advance(pauses[turn % len(pauses)] / 240 * limits.ca_seconds / 6)
        turn += 1
        desk.tend()
    assert len(bundles) > 2, "authorities did change meanwhile"


@pytest.mark.requirement("TRUST-01", "TRUST-04")
def test_over_three_days_every_svid_verifies_with_a_stale_bundle_and_until_its_end() -> None:
    world = TrustWorld()
    desk = world.desk()
    issuer = world.issuer(desk)
    stale = desk.bundle(DOMAIN)
    held: list[X509Svid] = []
    for _ in range(3 * 24 * 2):
        now = world.clock.now()
        svid = issuer.x509(WORKLOAD, KEY)
        assert verified_x509_svid((svid.leaf,), bundle_of={DOMAIN: stale}.get, now=now) == svid
        held = [*(kept for kept in held if kept.not_after > now), svid]
        for kept in held:
            assert verified_x509_svid((kept.leaf,), bundle_of=desk.bundle, now=now) == kept
        stale = desk.bundle(DOMAIN)
        world.clock.advance(HOUR / 2 + 300)
        desk.tend()


@pytest.mark.requirement("TRUST-02")
@given(st.lists(EVENTS, max_size=6), st.integers(0, 5))
def test_what_a_removed_authority_signed_is_believed_by_nobody_who_has_the_bundle(
    events: list[tuple[str, int]], which: int
) -> None:
    course = Course()
    for event, value in events:
        course.happen(event, value)
    world, desk = course.world, course.desk
    now = world.clock.now()
    active = next((a for a in desk.authorities() if a.state == "active"), None)
    if active is None or not active.is_valid(now):
        return
    svid = world.issuer(desk).x509(WORKLOAD, KEY)
    token = world.issuer(desk).jwt(WORKLOAD, ("somebody",))
    desk.remove(active.id)
    with pytest.raises(Unverified):
        verified_x509_svid((svid.leaf,), bundle_of=desk.bundle, now=now)
    with pytest.raises(Unverified):
        verified_jwt_svid(token, audience="somebody", bundle_of=desk.bundle, now=now)
    again = world.issuer(desk).x509(WORKLOAD, KEY)
    assert verified_x509_svid((again.leaf,), bundle_of=desk.bundle, now=now).id == WORKLOAD
    assert all(world.keys.public(name) is None for name in (active.x509_key, active.jwt_key, active.wit_key))
