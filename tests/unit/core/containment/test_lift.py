"""A person's word on the wire: exactly one shape, about exactly one hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.containment.hold import EVERYTHING, Agreement, Hold, HoldId
from answerable.core.containment.lift import LIFT_TYP, LiftClaims, lifted, verified_lift
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.documents import Principal
from answerable.core.statement import claims_in
from answerable.errors import AnswerableError, Refused
from answerable.testing.samples import signing_key
from tests.worlds.policy import REGISTRY

NOW = UnixMillis(1_800_000_000_000)
HOLD = Hold(id=HoldId("hold_" + "a" * 22), what=EVERYTHING, at=NOW, by="uid:0")
PEOPLE = {
    name: Principal(name=PrincipalId(name), display_name=name, keys=(signing_key(name).public,))
    for name in ("bob", "carol")
}
WORLD = replace(REGISTRY, principals=PEOPLE)


def token(**changes: object) -> str:
    sound = LiftClaims(
        iss="bob", aud="log", hold=HOLD.id, digest=HOLD.digest, reason="looked at it", iat_ms=NOW
    )
    claims = {**claims_in(sound), **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return signed_statement(kept, typ=LIFT_TYP, key=signing_key("bob"))


def verified(text: str) -> Agreement:
    return verified_lift(text, hold=HOLD, audience="log", current=WORLD, now=NOW)


def test_a_sound_word_is_its_persons_with_the_key_that_signed_it():
    found = verified(token())
    assert (found.by, found.reason, found.key) == (
        "bob",
        "looked at it",
        signing_key("bob").public.thumbprint,
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"more": "x"}, "lift.malformed"),
        ({"reason": None}, "lift.malformed"),
        ({"reason": 7}, "lift.malformed"),
        ({"iat_ms": "now"}, "lift.malformed"),
        ({"iat_ms": True}, "lift.malformed"),
        ({"iat_ms": NOW - 300_000}, "lift.stale"),
        ({"iat_ms": NOW + 60_001}, "lift.stale"),
        ({"hold": "hold_" + "b" * 22}, "lift.other"),
        ({"digest": "0" * 64}, "lift.other"),
        ({"aud": "other"}, "lift.audience"),
        ({"iss": "carol"}, "lift.key"),
        ({"iss": 7}, "lift.malformed"),
    ],
)
def test_any_other_shape_is_refused(changes, code):
    with pytest.raises(AnswerableError) as raised:
        verified(token(**changes))
    assert raised.value.code == code


def test_two_names_with_one_key_are_one_person():
    shared = signing_key("bob").public
    twins = {
        name: replace(PEOPLE["bob"], name=PrincipalId(name), keys=(shared,)) for name in ("bob", "bobby")
    }
    world = replace(REGISTRY, principals=twins)
    first = Agreement(by=PrincipalId("bob"), key=shared.thumbprint, reason="r", at=NOW, token="t")
    once = lifted(HOLD, first, current=world)
    assert not once.lifted_at
    with pytest.raises(Refused) as raised:
        lifted(once, replace(first, by=PrincipalId("bobby")), current=world)
    assert raised.value.code == "hold.agreed_already"
