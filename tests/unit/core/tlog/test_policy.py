"""Attacks on policies: files that say less than they seem to, and quorums met by too few."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.policy import (
    GROUPS_MAX,
    LOGS_MAX,
    NONE,
    POLICY_BYTES_MAX,
    WITNESSES_MAX,
    WORD_CHARS_MAX,
    Group,
    Log,
    Policy,
    Witness,
    parse_policy,
)
from answerable.errors import Malformed
from tests.worlds.tlog import (
    ORIGIN,
    ed25519_log,
    ed25519_witness,
    lines_of,
    malformed_code,
    ml_dsa_44,
)

LOG = ed25519_log()
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
SIGNERS = {name: ed25519_witness(f"witness.example/{name}") for name in NAMES}
LATTICE = ml_dsa_44("witness.example/lattice")
VKEYS = {name: signer.key.formatted() for name, signer in SIGNERS.items()}
EXAMPLE = [
    f"log {LOG.key.formatted()}",
    *(f"witness {name} {VKEYS[name]}" for name in NAMES),
    "group X-witnesses 2 X1 X2 X3",
    "group Y-witnesses any Y1 Y2 Y3",
    "group X-and-Y all X-witnesses Y-witnesses",
    "quorum X-and-Y",
]
POLICY = parse_policy(lines_of(EXAMPLE))


def parsed(*lines: str) -> Policy:
    return parse_policy(lines_of(lines))


def code_of(*lines: str) -> str:
    return malformed_code(lambda: parsed(*lines))


def witness_line(name: str) -> str:
    return f"witness {name} {ed25519_witness(f'w/{name}').key.formatted()}"


# ---- the file


def test_the_example_of_the_specification_is_read() -> None:
    assert (
        Policy(
            logs=(Log(key=LOG.key),),
            witnesses=tuple(Witness(name=name, key=SIGNERS[name].key) for name in NAMES),
            groups=(
                Group(name="X-witnesses", threshold=2, members=("X1", "X2", "X3")),
                Group(name="Y-witnesses", threshold=1, members=("Y1", "Y2", "Y3")),
                Group(name="X-and-Y", threshold=2, members=("X-witnesses", "Y-witnesses")),
            ),
            quorum="X-and-Y",
        )
        == POLICY
    )
    assert parse_policy(POLICY.text()) == POLICY


def test_spaces_tabs_comments_and_order_of_logs_mean_nothing() -> None:
    policy = parsed(
        "# a comment",
        "",
        " \t ",
        "\t # another, with \u00a0 and è",
        f"  witness\t\tX1 \t {VKEYS['X1']}\thttps://w.example/è ",
        "quorum X1",
        f"log {LOG.key.formatted()} https://log.example",
        witness_line("unused"),
    )
    assert policy.logs == (Log(key=LOG.key, url="https://log.example"),)
    assert policy.witnesses[0] == Witness(name="X1", key=SIGNERS["X1"].key, url="https://w.example/è")
    assert (len(policy.witnesses), policy.quorum) == (2, "X1")
    assert parse_policy(policy.text()) == policy


def test_names_are_octets_and_only_spaces_and_tabs_part_them() -> None:
    kelvin, kay, raw = b"\xe2\x84\xaa", b"K", b"\xff\xfe#"
    no_break = "a\u00a0b\u2028c\u0085d".encode()
    lines = [
        b"witness %s %s" % (name, ed25519_witness(f"w/{at}").key.formatted().encode())
        for at, name in enumerate((kelvin, kay, raw, no_break))
    ]
    text = b"".join(line + b"\n" for line in (*lines, b"group all 2 K " + raw, b"quorum all"))
    policy = parse_policy(text)
    assert policy.text() == text
    assert [one.name.encode("utf-8", "surrogateescape") for one in policy.witnesses] == [
        kelvin, kay, raw, no_break,
    ]  # fmt: skip


def test_words_of_the_format_may_be_names() -> None:
    policy = parsed(
        *(witness_line(name) for name in ("all", "any", "1", "log")), "group quorum 1 all 1", "quorum quorum"
    )
    assert policy.is_met_by(["1"])
    assert parse_policy(policy.text()) == policy


def test_a_policy_without_logs_or_witnesses_can_ask_for_nothing() -> None:
    assert parsed("quorum none") == Policy(quorum=NONE)
    assert parsed("quorum none").text() == b"quorum none\n"


def test_keys_of_logs_and_witnesses_may_be_of_ml_dsa_44() -> None:
    own = ml_dsa_44(ORIGIN)
    policy = parsed(
        f"log {LOG.key.formatted()}",
        f"log {own.key.formatted()}",
        f"witness w {LATTICE.key.formatted()}",
        "quorum w",
    )
    assert [one.key for one in policy.logs] == [LOG.key, own.key]
    assert parse_policy(policy.text()) == policy


W = witness_line("w")
V = witness_line("v")
OTHER_NAME = VerifierKey.ed25519_cosignature("other.example", SIGNERS["X1"].key.public).formatted()
SAME_KEY_AS_LOG = VerifierKey.ed25519_cosignature("w.example", LOG.key.public).formatted()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "policy.quorum"),
        (["# nothing"], "policy.quorum"),
        ([W], "policy.quorum"),
        ([W, "quorum w", "quorum w"], "policy.quorum"),
        (["quorum none", "quorum none"], "policy.quorum"),
        (["quorum"], "policy.line"),
        ([W, "quorum w w"], "policy.line"),
        ([W, "Quorum w"], "policy.line"),
        (["log", "quorum none"], "policy.line"),
        ([f"log {LOG.key.formatted()} https://a more", "quorum none"], "policy.line"),
        ([f"witness w {VKEYS['X1']} https://a more", "quorum none"], "policy.line"),
        ([f"witness {VKEYS['X1']}", "quorum none"], "policy.line"),
        (["group g", "quorum none"], "policy.line"),
        (["include other.policy", "quorum none"], "policy.line"),
        # What is used before it is there.
        (["quorum w"], "policy.name_unknown"),
        (["quorum w", W], "policy.name_unknown"),
        (["group g 1 w", W, "quorum g"], "policy.name_unknown"),
        ([W, "quorum g", "group g 1 w"], "policy.name_unknown"),
        ([W, "group g 1 g", "quorum g"], "policy.name_unknown"),
        ([W, V, "group g 1 w h", "group h 1 v g", "quorum g"], "policy.name_unknown"),
        ([W, "group g 1 none w", "quorum g"], "policy.name_unknown"),
        ([W, "group g 1 W", "quorum g"], "policy.name_unknown"),
        # What is there twice.
        ([W, f"witness w {VKEYS['X1']}", "quorum w"], "policy.name_twice"),
        ([W, V, "group w 1 v", "quorum w"], "policy.name_twice"),
        ([W, V, "group g 1 v", "group g 1 w", "quorum g"], "policy.name_twice"),
        ([f"witness none {VKEYS['X1']}", "quorum none"], "policy.name_twice"),
        ([W, "group none 1 w", "quorum none"], "policy.name_twice"),
        ([W, "group g 2 w w", "quorum g"], "policy.member_twice"),
        ([W, V, "group g 1 w", "group h 2 w v", "quorum h"], "policy.member_twice"),
        ([W, V, "group g 1 w", "group h 1 g", "group i 2 g v", "quorum i"], "policy.member_twice"),
        ([W, f"witness v {W.split()[2]}", "quorum w"], "policy.key_twice"),
        ([f"witness w {VKEYS['X1']}", f"witness v {OTHER_NAME}", "quorum w"], "policy.key_twice"),
        ([f"log {LOG.key.formatted()}", f"log {LOG.key.formatted()}", "quorum none"], "policy.key_twice"),
        ([f"log {LOG.key.formatted()}", f"witness w {SAME_KEY_AS_LOG}", "quorum w"], "policy.key_twice"),
        ([f"log {LATTICE.key.formatted()}", f"witness w {LATTICE.key.formatted()}", "quorum w"], "policy.key_twice"),
        # Thresholds that ask for nothing, or for more than there is.
        ([W, "group g 0 w", "quorum g"], "policy.threshold"),
        ([W, "group g 2 w", "quorum g"], "policy.threshold"),
        (["group g all", "quorum g"], "policy.threshold"),
        (["group g any", "quorum g"], "policy.threshold"),
        (["group g 1", "quorum g"], "policy.threshold"),
        ([W, "group g 01 w", "quorum g"], "tlog.decimal"),
        ([W, "group g +1 w", "quorum g"], "tlog.decimal"),
        ([W, "group g -1 w", "quorum g"], "tlog.decimal"),
        ([W, "group g ANY w", "quorum g"], "tlog.decimal"),
        ([W, "group g 1.0 w", "quorum g"], "tlog.decimal"),
        ([W, f"group g {'9' * 100} w", "quorum g"], "tlog.decimal"),
        # Keys that cannot do what they are listed for.
        ([f"log {VKEYS['X1']}", "quorum none"], "policy.key_type"),
        ([f"witness w {LOG.key.formatted()}", "quorum w"], "policy.key_type"),
        (["log rome+00000000+BQ==", "quorum none"], "note.key"),
        (["log rome+00000000+BQEC", "quorum none"], "policy.key_type"),
        (["witness w rome+00000000+BQEC", "quorum w"], "policy.key_type"),
        (["log 4644af2abd40f4895a003bca350f9d5912ab301a49c77f13e5b6d905c20a5fe6", "quorum none"], "note.key"),
        ([f"witness w {VKEYS['X1'][:-4]}", "quorum w"], "note.key_unsound"),
        ([f"witness w {VKEYS['X1'][:-1]}", "quorum w"], "tlog.base64"),
        ([f"witness {'n' * (WORD_CHARS_MAX + 1)} {VKEYS['X1']}", "quorum none"], "policy.word"),
        ([f"log {LOG.key.formatted()} {'u' * (WORD_CHARS_MAX + 1)}", "quorum none"], "policy.word"),
    ],
)  # fmt: skip
def test_what_is_not_a_policy_is_refused(lines: list[str], code: str) -> None:
    assert code_of(*lines) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"quorum none", "policy.newline"),
        (lines_of(EXAMPLE)[:-1], "policy.newline"),
        (b"quorum none\r\n", "policy.control"),
        (b"quorum\x0bnone\n", "policy.control"),
        (b"quorum none\x00\n", "policy.control"),
        (b"# \x7f\nquorum none\n", "policy.control"),
        (b"#" * POLICY_BYTES_MAX + b"\n", "policy.size"),
        (b"", "policy.quorum"),
        (b"\xef\xbb\xbfquorum none\n", "policy.line"),
        ("quorum\u00a0none\n".encode(), "policy.line"),
        (b"log \xff+00000000+AQEC\nquorum none\n", "note.key_name"),
    ],
)
def test_octets_that_no_policy_has_are_refused(text: bytes, code: str) -> None:
    assert malformed_code(lambda: parse_policy(text)) == code


def test_a_policy_at_the_limits_of_words_and_bytes_is_read() -> None:
    name = "n" * WORD_CHARS_MAX
    assert parsed(f"witness {name} {VKEYS['X1']}", f"quorum {name}").quorum == name
    padded = b"quorum none\n#" + b"x" * (POLICY_BYTES_MAX - 14) + b"\n"
    assert len(padded) == POLICY_BYTES_MAX
    assert parse_policy(padded) == Policy(quorum=NONE)
    assert malformed_code(lambda: parse_policy(b" " + padded)) == "policy.size"


def test_a_fault_names_its_line() -> None:
    with pytest.raises(Malformed, match=r"^line 3 of the policy: `g` is not defined"):
        parsed("# first", W, "group h 1 g", "quorum h")


def test_thirty_two_of_each_and_more_are_accepted_up_to_a_limit() -> None:
    def sized(logs: int, witnesses: int, groups: int) -> list[str]:
        return [
            *(f"log {ed25519_log(f'log/{at}').key.formatted()}" for at in range(logs)),
            *(witness_line(f"w{at}") for at in range(witnesses)),
            *(f"group g{at} 1 {f'g{at - 1}' if at else 'w0'}" for at in range(groups)),
            f"quorum {f'g{groups - 1}' if groups else 'w0'}",
        ]

    for size in ((32, 32, 32), (LOGS_MAX, WITNESSES_MAX, GROUPS_MAX)):
        policy = parsed(*sized(*size))
        # As deep as groups can lie in one another.
        assert policy.is_met_by(["w0"])
        assert not policy.is_met_by(["w1"])
    for size in ((LOGS_MAX + 1, 1, 0), (0, WITNESSES_MAX + 1, 0), (0, 1, GROUPS_MAX + 1)):
        assert code_of(*sized(*size)) == "policy.size"
    assert len(lines_of(sized(LOGS_MAX, WITNESSES_MAX, GROUPS_MAX))) < POLICY_BYTES_MAX


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quorum": "g"}, "policy.name_unknown"),
        ({"groups": (Group(name="g", threshold=1, members=("h",)),)}, "policy.name_unknown"),
        ({"groups": (Group(name="a b", threshold=1, members=("X1",)),)}, "policy.word"),
        ({"groups": (Group(name="", threshold=1, members=("X1",)),)}, "policy.word"),
        ({"groups": (Group(name="a\nb", threshold=1, members=("X1",)),)}, "policy.word"),
        ({"groups": (Group(name="\ud800", threshold=1, members=("X1",)),)}, "policy.word"),
        # Two escaped octets that would be read back as one letter.
        ({"groups": (Group(name="\udcc3\udca9", threshold=1, members=("X1",)),)}, "policy.word"),
        ({"logs": (Log(key=LOG.key, url=""),)}, "policy.word"),
        ({"logs": (Log(key=LOG.key, url="a\x7f"),)}, "policy.word"),
    ],
)
def test_a_policy_that_could_not_be_read_back_is_not_made(changed: dict[str, Any], code: str) -> None:
    base = replace(POLICY, groups=(), quorum="X1")
    assert malformed_code(partial(replace, base, **changed)) == code
