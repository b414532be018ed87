"""A kind of statement: what it declares is what it signs, reads and says."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.statement import AGE_MILLIS_MAX, AHEAD_MILLIS_MAX, Kind, claims_in
from answerable.errors import AnswerableError, Malformed, Unverified
from answerable.testing.clock import START
from answerable.testing.samples import signing_key
from tests.vectors.test_statements import VECTORS
from tests.worlds.token_codes import token_codes, unverified_code
from wire_tables import KINDS

pytestmark = pytest.mark.requirement("STATEMENT-02")

NOW = UnixMillis(START)
BY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.typ)


class Note(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    iss: str
    aud: Annotated[str, Meta(description="for whom")]
    size: Annotated[int, Meta(ge=0)]
    items: list[Any]
    more: str = ""
    iat_ms: int


NOTES = Kind(
    typ="note+jwt",
    codes=token_codes("note"),
    what="the note",
    form=Note,
    missing="{claim} is missing",
    unknown="{claim} is not known",
)
AUDIENCE, STALE = unverified_code("note", "audience"), unverified_code("note", "stale")
NOTE = Note(iss="alice", aud="here", size=1, items=["x"], iat_ms=NOW)
CLAIMS = claims_in(NOTE)


def keys_of(name):
    return (signing_key(name).public,) if name in ("alice", "bob") else ()


def refused(action) -> AnswerableError:
    with pytest.raises(AnswerableError) as told:
        action()
    return told.value


def test_what_is_signed_is_read_and_names_its_key():
    token = NOTES.sign(NOTE, signing_key("alice"))
    assert NOTES.verified(token, keys_of) == NOTE
    assert NOTES.key_of(token) == signing_key("alice").public.thumbprint


def test_it_is_believed_of_its_kind_and_its_signer_alone():
    other = Kind(typ="other+jwt", codes=token_codes("other"), what="it", form=Note)
    token = NOTES.sign(NOTE, signing_key("alice"))
    assert refused(lambda: other.verified(token, keys_of)).code == "other.type"
    assert refused(lambda: NOTES.verified(token, lambda _: ())).code == "note.key"
    by_bob = NOTES.sign(NOTE, signing_key("bob"))
    assert refused(lambda: NOTES.verified(by_bob, keys_of)).code == "note.key"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"aud": ...}, "`aud` is missing"),
        ({"odd": 1}, "`odd` is not known"),
        ({"aud": ..., "abc": 1}, "`abc` is not known"),
        ({"aud": 7}, "claim `aud` must be text"),
        ({"aud": None}, "claim `aud` must be text"),
        ({"size": "1"}, "claim `size` must be an integer of 0 or more"),
        ({"size": -1}, "claim `size` must be an integer of 0 or more"),
        ({"size": True}, "claim `size` must be an integer of 0 or more"),
        ({"size": 1.0}, "claim `size` must be an integer of 0 or more"),
        ({"iat_ms": 1.5}, "claim `iat_ms` must be an integer"),
        ({"items": {}}, "claim `items` must be a list"),
        ({"more": 1}, "claim `more` must be text"),
    ],
)
def test_a_claim_that_is_off_is_named(changes, says):
    kept = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    error = refused(lambda: NOTES.read(kept))
    assert (type(error), error.code, error.message) == (Malformed, "note.malformed", says)


def test_what_may_be_left_out_may():
    assert NOTES.read({name: value for name, value in CLAIMS.items() if name != "more"}) == NOTE


def test_it_is_for_one_deployment_and_for_five_minutes():
    NOTES.check_audience(NOTE, "here", code=AUDIENCE)
    assert refused(lambda: NOTES.check_audience(NOTE, "there", code=AUDIENCE)).code == "note.audience"
    for now in (NOW - AHEAD_MILLIS_MAX, NOW + AGE_MILLIS_MAX - 1):
        NOTES.check_age(NOTE, UnixMillis(now), code=STALE)
    for now in (NOW - AHEAD_MILLIS_MAX - 1, NOW + AGE_MILLIS_MAX):
        error = refused(lambda now=now: NOTES.check_age(NOTE, UnixMillis(now), code=STALE))
        assert (type(error), error.code) == (Unverified, "note.stale")


@BY_KIND
def test_every_form_is_frozen_and_knows_no_other_claim(kind):
    config = kind.form.__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields
    assert all(row.meaning for row in kind.table() if row.needed)


@BY_KIND
def test_what_a_kind_declares_is_what_it_says(kind):
    """Held to the stored statements: what its codes say is said there."""
    said: dict[str, list[str]] = {}
    for vector in VECTORS.values():
        if vector["typ"] == kind.typ:
            for one in (*vector["changed"], *vector["spoilt"].values()):
                said.setdefault(one.get("code", ""), []).append(one.get("message", ""))
    codes = kind.codes
    for code in (codes.malformed, codes.type, codes.algorithm, codes.key, codes.signature):
        if kind.typ == "answerable-approval-batch+jwt" and code is codes.malformed:
            continue  # It is read with what approvals keep of it, and says what that says.
        words = re.escape(code.says).replace("…", ".*")
        assert any(re.fullmatch(words, message) for message in said.get(code.id, [])), code.id


def test_no_two_kinds_have_one_type():
    assert len({kind.typ for kind in KINDS}) == len(KINDS)
    assert all(issubclass(kind.form, msgspec.Struct) for kind in KINDS)
