"""Disclosable fields: RFC 9901 to the byte, sealed in their order, listed in an order that says nothing."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answerable.core.canonical import encode
from answerable.core.ledger.disclosure import (
    DISCLOSURE_SALT_BYTES,
    FIELDS_MAX,
    Sealing,
    committed_fields,
    digest_of,
    opened_fields,
    parsed_disclosure,
    sealed_fields,
)
from answerable.core.ledger.subject_key import SubjectKey
from answerable.errors import Malformed, Unverified
from answerable.testing.entropy import SeededEntropy

pytestmark = pytest.mark.requirement("SEAL-01")

KEY = SubjectKey(id=b"k" * 16, secret=bytes(range(32)))

# RFC 9901: section 4.2.3, then the disclosures of section 5.1 that name a claim, then one of appendix A.1.
PUBLISHED = {
    "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0": (
        "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
    ),
    "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd": (
        "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"
    ),
    "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd": (
        "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo"
    ),
    "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ": (
        "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE"
    ),
    "WyJlSThaV205UW5LUHBOUGVOZW5IZGhRIiwgInBob25lX251bWJlciIsICIrMS0yMDItNTU1LTAxMDEiXQ": (
        "PorFbpKuVu6xymJagvkFsFXAbRoc2JGlAUA2BA4o7cI"
    ),
    "WyJRZ19PNjR6cUF4ZTQxMmExMDhpcm9BIiwgInBob25lX251bWJlcl92ZXJpZmllZCIsIHRydWVd": (
        "XQ_3kPKt1XyX7KANkqVR6yZ2Va5NrPIvPYbyMvRKBMM"
    ),
    "WyJBSngtMDk1VlBycFR0TjRRTU9xUk9BIiwgImFkZHJlc3MiLCB7InN0cmVldF9hZGRyZXNzIjogIjEyMyBNYWluIFN0IiwgImxvY2FsaXR5"
    "IjogIkFueXRvd24iLCAicmVnaW9uIjogIkFueXN0YXRlIiwgImNvdW50cnkiOiAiVVMifV0": (
        "XzFrzwscM6Gn6CJDc6vVK8BkMnfG8vOSKfpPIZdAfdE"
    ),
    "WyJQYzMzSk0yTGNoY1VfbEhnZ3ZfdWZRIiwgImJpcnRoZGF0ZSIsICIxOTQwLTAxLTAxIl0": (
        "gbOsI4Edq2x2Kw-w5wPEzakob9hV1cRD0ATN3oQL9JM"
    ),
    "WyJHMDJOU3JRZmpGWFE3SW8wOXN5YWpBIiwgInVwZGF0ZWRfYXQiLCAxNTcwMDAwMDAwXQ": (
        "CrQe7S5kqBAHt-nMYXgc6bdt2SH5aTY1sU_M-PgkjPI"
    ),
    "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImdpdmVuX25hbWUiLCAiXHU1OTJhXHU5MGNlIl0": (
        "ommFAicVT8LGHCB0uywx7fYuo3MHYKO15cz-RZEYM5Q"
    ),
}


def sealing(seed: int | str = 0) -> Sealing:
    return Sealing(key=KEY, random=SeededEntropy(seed).bytes)


def from_base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(("encoded", "digest"), PUBLISHED.items(), ids=list(PUBLISHED.values()))
def test_digests_of_the_disclosures_in_the_rfc_are_those_it_prints(encoded: str, digest: str):
    array = from_base64url(encoded)
    assert digest_of(array) == digest
    read = parsed_disclosure(array)
    assert (read.encoded, read.digest) == (encoded, digest), (
        "as it was published, spaces and escapes included"
    )
    salt, name, value = json.loads(array)
    assert read.name == name
    assert json.loads(bytes(read.value)) == value
    assert salt


_NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(_NAMES, _VALUES), min_size=1, max_size=6), st.integers(0, 2**32))
@example([(f"n{number}", number) for number in range(64)], 0)
def test_what_was_sealed_is_opened_byte_for_byte_in_its_order_and_each_field_checks_against_the_digests(
    given_fields, seed
):
    fields = [(name.encode(), encode(value)) for name, value in given_fields]
    digests, attachment = sealed_fields(fields, sealing(seed))
    opened = opened_fields(attachment, KEY)
    assert [(one.name.encode(), bytes(one.value)) for one in opened] == fields
    assert digests == sorted(one.digest for one in opened)
    assert len(set(digests)) == len(fields), "equal fields have unequal digests, for no salt is used twice"
    for one in opened:
        # As a library of somebody else's does it.
        digest = sha256(one.encoded.encode("ascii")).digest()
        assert from_base64url(one.digest) == digest
        salt, name, value = json.loads(from_base64url(one.encoded))
        assert len(from_base64url(salt)) == DISCLOSURE_SALT_BYTES >= 16
        assert (name, encode(value)) == (one.name, bytes(one.value))


def test_the_order_of_digests_says_nothing_about_the_order_of_fields():
    fields = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    places = set()
    for seed in range(60):
        digests, attachment = sealed_fields(fields, sealing(seed))
        places.add(tuple(digests.index(one.digest) for one in opened_fields(attachment, KEY)))
    assert len(places) == 6


def test_no_two_seals_share_data_key_nonce_or_salt():
    chance: list[bytes] = []
    entropy = SeededEntropy("shared")

    def recorded(count: int) -> bytes:
        chance.append(entropy.bytes(count))
        return chance[-1]

    one = Sealing(key=KEY, random=recorded)
    attachments = [sealed_fields([(b"a", b"1"), (b"b", b"1")], one)[1] for _ in range(50)]
    salt = DISCLOSURE_SALT_BYTES
    assert {len(drawn) for drawn in chance} == {32 + 12 + 2 * salt}
    cuts = (0, 32, 44, 44 + salt, 44 + 2 * salt)
    parts = [drawn[start:end] for drawn in chance for start, end in pairwise(cuts)]
    assert len(set(parts)) == len(parts)
    assert len(set(attachments)) == len(attachments)


@pytest.mark.parametrize(
    "array",
    [
        b"", b"[]", b'["s","n"]', b'["s","n",1,2]', b'["s",1,1]', b'[1,"n",1]', b'{"a":1}', b'["s","n",1] x',
        b'["s","n",]', b'["s","n",nan]', b'["s","n","\xff"]', b'["s","n",1', b"[" * 100_000,
        b'["s","n",' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_disclosure_is_malformed(array: bytes):
    with pytest.raises(Malformed) as told:
        parsed_disclosure(array)
    assert told.value.code == "ledger.disclosure"


def sealed_text(text: bytes) -> bytes:
    return KEY.sealed(text, data_key=sha256(b"data key").digest(), nonce=bytes(12))


@pytest.mark.parametrize(
    "text",
    [b'["s","n",1]', b"\n", b'["s","n",1]\n\n', b'\n["s","n",1]\n', b'["s","n",1]\nrest', b'["s",\n"n",1]\n'],
    ids=["no end", "an empty line", "an empty line last", "an empty line first", "a rest", "a broken line"],
)
def test_a_plaintext_of_another_form_is_malformed(text: bytes):
    with pytest.raises(Malformed) as told:
        opened_fields(sealed_text(text), KEY)
    assert told.value.code == "ledger.disclosure"


def test_no_more_fields_are_read_than_there_may_be():
    line = b'["s","n",1]\n'
    assert len(opened_fields(sealed_text(line * FIELDS_MAX), KEY)) == FIELDS_MAX
    assert opened_fields(sealed_text(b""), KEY) == ()
    for count in (FIELDS_MAX + 1, 10 * FIELDS_MAX):
        with pytest.raises(Malformed):
            opened_fields(sealed_text(line * count), KEY)


def test_fields_of_another_subject_are_not_opened():
    _, attachment = sealed_fields([(b"a", b"1")], sealing())
    with pytest.raises(Unverified):
        opened_fields(attachment, SubjectKey(id=b"o" * 16, secret=bytes(32)))


WANTED = frozenset({"question", "request"})


def committed(lines: list[bytes], digests: object = None) -> dict[str, bytes] | None:
    told = sorted(map(digest_of, lines)) if digests is None else digests
    return committed_fields(sealed_text(b"".join(line + b"\n" for line in lines)), KEY, told, WANTED)


def line(name: str, value: str = "1", salt: str = "s" * 24) -> bytes:
    return f'["{salt}",{name},{value}]'.encode()


def test_fields_that_are_wanted_are_those_of_all_fields():
    fields = [(b"question", b'{"a":1}'), (b"reason", b'"x"'), (b"request", b"[]"), (b"owner_name", b"1")]
    digests, attachment = sealed_fields(fields, sealing())
    whole = {one.name: bytes(one.value) for one in opened_fields(attachment, KEY)}
    found = committed_fields(attachment, KEY, digests, WANTED)
    assert found == {name: value for name, value in whole.items() if name in WANTED}
    assert committed_fields(attachment, KEY, digests, frozenset()) == {}


@pytest.mark.parametrize(
    "one",
    [line('"quest\\u0069on"'), line('"question"', salt="short"), line(' "question"'), line('"question" ')],
)
def test_a_name_that_is_written_otherwise_is_read_all_the_same(one: bytes):
    assert committed([line('"other"'), one]) == {"question": b"1"}


def test_a_field_that_the_leaf_does_not_commit_to_is_none_of_its_fields():
    lines = [line('"question"'), line('"other"')]
    others = [line('"question"', "2"), lines[1]]
    assert committed(lines) == {"question": b"1"}
    assert committed(lines, sorted(map(digest_of, others))) is None
    assert committed(lines, [digest_of(lines[0])]) is None
    assert committed(lines, None or "x" * 2) is None


def test_what_is_no_field_at_all_is_malformed():
    for one in (b"[]", b"{}", line("1"), b""):
        with pytest.raises(Malformed):
            committed([one])
