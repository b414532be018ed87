"""The scope grammar of SSH, the quoting of commands, and the watch around them, without any host."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.adapters.ssh_certificates import checked_command_tool, checked_host
from answerable.adapters.ssh_certificates.commands import command_asked
from answerable.adapters.ssh_certificates.forced_command import forced_command, forced_words
from answerable.adapters.ssh_certificates.scope import grant_faults, grant_of
from answerable.core.canonical import JSONValue, freeze
from answerable.errors import Malformed, Refused
from answerable.wiring.target_kinds import kind_named
from tests.probes.example_counts import examples

SHELLS = [shell for shell in ("/bin/sh", "/bin/bash", "/bin/zsh", "/usr/bin/fish") if shutil.which(shell)]
ACCOUNT = "ans_aaaaaaaaaaaaaaaaaaaaaaaaae"
WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])
    | st.sampled_from("'\"\\$`!;&|<> *?~#{}-%"),
    max_size=20,
)
GRANT: dict[str, JSONValue] = {"host": "web1", "login": "deploy", "command": ["/bin/true", {"operand": "x"}]}


def ran(shell: str, line: str, **options: object) -> subprocess.CompletedProcess[str]:
    with subprocess.Popen(
        [shell, "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        return subprocess.CompletedProcess([], stdout=process.stdout.read(), returncode=process.wait())


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=examples(25), deadline=None)
@given(words=st.lists(WORDS, max_size=6))
def test_every_word_comes_out_of_every_shell_as_it_went_in(shell, words):
    command = (sys.executable, "-Sc", "import sys, json; print(json.dumps(sys.argv[1:]))", *words)
    line = forced_command(command, account=ACCOUNT, ends_at=int(time.time()) + 60, revoked_list="")
    assert json.loads(ran(shell, line).stdout) == words
    assert forced_words(line) == command


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("status", [0, 3, 255])
def test_the_watch_hands_the_exit_status_on(shell, status):
    command = ("/bin/sh", "-c", f"exit {status}")
    line = forced_command(command, account=ACCOUNT, ends_at=int(time.time()) + 60, revoked_list="")
    assert ran(shell, line).returncode == status


def test_what_is_over_revoked_or_cannot_be_told_does_not_run(tmp_path):
    listed, free = tmp_path / "listed", tmp_path / "free"
    listed.write_text(f"1900000000 {ACCOUNT}\n")
    free.write_text("1900000000 ans_another\n")
    late, early = int(time.time()) - 1, int(time.time()) + 60
    for ends_at, revoked_list, runs in (
        (early, free, True),
        (early, listed, False),
        (early, tmp_path / "missing", False),
        (late, free, False),
    ):
        line = forced_command(
            ("/bin/echo", "ran"), account=ACCOUNT, ends_at=ends_at, revoked_list=str(revoked_list)
        )
        assert (ran("/bin/sh", line).stdout == "ran\n") is runs


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"host": "db1"}, "none of the target's hosts"),
        ({"host": ["web1"]}, "none of the target's hosts"),
        ({"login": "Deploy"}, "no login"),
        ({"login": "-oProxyCommand=x"}, "no login"),
        ({"login": "deploy@web2"}, "no login"),
        ({"login": "answerable-revocation"}, "no login"),
        ({"login": "a,b"}, "no login"),
        ({"command": []}, "a list of 1 to 64"),
        ({"command": "/bin/true; id"}, "a list of 1 to 64"),
        ({"command": ["true"]}, "whole path"),
        ({"command": ["/bin/true", "a\nb"]}, "item 1"),
        ({"command": ["/bin/true", 1]}, "item 1"),
        ({"command": ["/bin/true", {"operand": "-rf"}]}, "option"),
        ({"command": ["/bin/true", {"operand": ""}]}, "option"),
        ({"command": ["/bin/true", {"operand": "x", "more": 1}]}, "item 1"),
        ({"command": ["/bin/true", "x" * 5000]}, "more than"),
        ({"command": ["/bin/true"] * 65}, "a list of 1 to 64"),
        ({"port": 22}, "no other"),
    ],
)
def test_a_scope_that_is_not_understood_whole_says_what_to_write(change, told):
    scope = freeze({**GRANT, **change})
    assert told in " ".join(grant_faults(scope, {"web1", "web2"}))
    with pytest.raises(Refused) as refused:
        grant_of(scope, {"web1", "web2"})
    assert refused.value.code == "lease.scope"


def test_a_scope_is_what_it_says():
    grant = grant_of(freeze(GRANT), {"web1"})
    assert (grant.host, grant.login, grant.command) == ("web1", "deploy", ("/bin/true", "x"))


@pytest.mark.parametrize(
    "text", ["web1", "=x", "web1=-x", "web1=a:0", "web1=a:70000", "Web1=a", "w=a b", "w=[::1"]
)
def test_what_is_no_host_is_refused(text):
    with pytest.raises(Malformed) as odd:
        checked_host(text)
    assert odd.value.code == "target.host"


def test_hosts_have_a_port_and_ipv6_its_brackets():
    assert checked_host("web1=web1.example").port == 22
    assert checked_host("web1=[::1]:2222").address == "::1"


@pytest.mark.parametrize(
    "text", ["run=/bin/true", "a=true", "A=/bin/true", "a=/bin/{x}", "a=/bin/x {", "a=/x {host}"]
)
def test_what_is_no_named_command_is_refused(text):
    with pytest.raises(Malformed) as odd:
        checked_command_tool(text)
    assert odd.value.code == "target.command"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gone", {"host": "web1"}),
        ("show", {"host": "web1"}),
        ("show", {"host": "web1", "what": "x", "more": "y"}),
        ("show", {"host": "web1", "what": 1}),
        ("show", {"host": "web1", "what": "a\nb"}),
        ("run", {"host": "web1", "command": "x"}),
        ("run", {"host": "web1", "command": ["/bin/x", {"operand": "y"}]}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name, arguments):
    with pytest.raises(Refused) as refused:
        command_asked((checked_command_tool("show=/bin/echo {what}"),), name, arguments)
    assert refused.value.code == "target.arguments"


def test_settings_that_cannot_work_are_all_named_at_once():
    kind = kind_named("ssh")
    odd = kind.settings(
        hosts=("web1=a", "web1=b", "x"),
        commands=("run=/x",),
        source_addresses=("here",),
        ca_key="file:a",
        ca_key_file="b",
        revocation_login="x",
        revocation_folder="y",
    )
    told = " ".join(kind.faults(odd))
    for word in (
        "no host",
        "no command",
        "no IP address",
        "one of `ca_key`",
        "known_hosts",
        "revocation_folder",
        "twice",
    ):
        assert word in told
    assert "set `hosts`" in " ".join(kind.faults(kind.settings()))
    assert "set `source_addresses`" in " ".join(kind.faults(kind.settings()))
