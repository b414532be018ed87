from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.registry_files.reading import read_text
from answerable.apps.mcp_shim.client_config import (
    SECRETS_SUFFIX,
    ShimCommand,
    registered_name,
    servers_of,
    wrapped,
)
from answerable.apps.mcp_shim.client_files import BACKUP_SUFFIX, unwrap, wrap
from answerable.apps.mcp_shim.masking import masked
from answerable.core.registry.documents.documents import Server
from answerable.core.registry.parsing.parse import shapes_of
from answerable.errors import Malformed, Refused, Unavailable

SHIM = ShimCommand(gateway="http://127.0.0.1:8765", key="agent.jwk", mandate="m-1")
CONFIG = """{
    "theme": "dark",
    "mcpServers": {
        "Git Hub": {"command": "npx", "args": ["-y", "github"], "timeout": 30000,
                    "env": {"GITHUB_TOKEN": "ghp_s3cret"}},
        "db": {"type": "http", "url": "http://127.0.0.1:9000/mcp"},
        "closed": {"url": "https://example.test/mcp", "headers": {"Authorization": "Bearer t0ken"}},
        "old": {"type": "sse", "url": "https://example.test/sse"}
    }
}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text(CONFIG)
    path.chmod(0o640)
    return path


def test_every_server_that_can_goes_through_the_gateway(file):
    report = wrap(file, SHIM)
    config = json.loads(file.read_text())
    assert config["theme"] == "dark"
    assert config["mcpServers"]["Git Hub"] == {
        "command": "answerable",
        "args": [
            *("mcp", "shim", "--server", "git-hub", "--gateway", "http://127.0.0.1:8765"),
            *("--key", "agent.jwk", "--mandate", "m-1"),
        ],
    }
    assert config["mcpServers"]["db"]["args"][3] == "db"
    assert config["mcpServers"]["closed"] == json.loads(CONFIG)["mcpServers"]["closed"]
    assert [line.partition(":")[0] for line in report.left] == ["`closed`", "`old`"]
    assert (
        '-            "command": "npx"' in report.diff
        or '-        "Git Hub": {"command": "npx"' in report.diff
    )
    assert '\n    "theme"' in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_the_servers_can_be_registered_and_their_secrets_are_only_referred_to(file):
    report = wrap(file, SHIM)
    assert "s3cret" not in report.documents
    assert "s3cret" not in file.read_text()
    reading = read_text(report.documents, file="servers.yaml", directory=file.parent)
    assert not reading.faults
    shapes = shapes_of(reading.documents)
    assert not shapes.faults
    github, db = (registered.noun for registered in shapes.nouns)
    assert isinstance(github, Server)
    assert isinstance(db, Server)
    assert (github.name, github.args, github.call_seconds_max) == ("git-hub", ("-y", "github"), 30)
    assert db.url == "http://127.0.0.1:9000/mcp"
    ((variable, reference),) = github.env
    place = Path(reference.removeprefix("file:"))
    assert (variable, place.read_text()) == ("GITHUB_TOKEN", "ghp_s3cret")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert place.is_relative_to(file.with_name(file.name + SECRETS_SUFFIX))


def test_unwrapping_puts_every_byte_back(file):
    wrap(file, SHIM)
    diff = unwrap(file)
    assert file.read_text() == CONFIG
    assert '+        "Git Hub"' in diff
    assert not file.with_name(file.name + BACKUP_SUFFIX).exists()
    wrap(file, SHIM)


def test_unwrapping_keeps_what_was_changed_since(file):
    wrap(file, SHIM)
    config = json.loads(file.read_text())
    config["mcpServers"]["new"] = {"command": "new"}
    del config["mcpServers"]["db"]
    file.write_text(json.dumps(config))
    unwrap(file)
    restored = json.loads(file.read_text())["mcpServers"]
    assert restored["Git Hub"]["command"] == "npx"
    assert restored["new"] == {"command": "new"}
    assert "db" not in restored


def test_wrapping_again_replaces_the_mandate_and_the_backup_stays_the_original(file):
    wrap(file, SHIM)
    before = json.loads(file.read_text())
    wrap(file, SHIM)
    assert json.loads(file.read_text()) == before, "the same again changes nothing"
    report = wrap(file, replace(SHIM, mandate="m-2"))
    for name in ("Git Hub", "db"):
        assert json.loads(file.read_text())["mcpServers"][name]["args"][-1] == "m-2"
    assert "name: git-hub" in report.documents
    wrap(file, replace(SHIM, mandate="", key="other.jwk"))
    args = json.loads(file.read_text())["mcpServers"]["db"]["args"]
    assert args[-4:] == ["--key", "other.jwk", "--mandate", "m-2"], "a mandate stays unless another is named"
    unwrap(file)
    assert file.read_text() == CONFIG


def test_a_server_that_was_added_since_is_wrapped_beside_the_others(file):
    wrap(file, SHIM)
    config = json.loads(file.read_text())
    config["mcpServers"]["new"] = {"command": "new", "env": {"KEY": "n3w"}}
    file.write_text(json.dumps(config))
    report = wrap(file, SHIM)
    assert json.loads(file.read_text())["mcpServers"]["new"]["args"][3] == "new"
    assert "name: git-hub" in report.documents
    assert "name: new" in report.documents
    unwrap(file)
    restored = json.loads(file.read_text())["mcpServers"]
    assert restored["new"] == {"command": "new", "env": {"KEY": "n3w"}}
    assert restored["Git Hub"]["command"] == "npx"


def test_without_its_backup_a_wrapped_file_gets_another_mandate_all_the_same(file):
    wrap(file, SHIM)
    file.with_name(file.name + BACKUP_SUFFIX).unlink()
    report = wrap(file, replace(SHIM, mandate="m-2"))
    assert json.loads(file.read_text())["mcpServers"]["db"]["args"][-1] == "m-2"
    assert "kind" not in report.documents
    assert not file.with_name(file.name + BACKUP_SUFFIX).exists()


def test_a_backup_that_has_what_the_file_has_not_is_never_overwritten(file):
    wrap(file, SHIM)
    file.write_text('{"mcpServers": {"db": {"command": "other"}}}')
    with pytest.raises(Unavailable) as kept:
        wrap(file, SHIM)
    assert kept.value.code == "client_config.backup_exists"
    assert file.with_name(file.name + BACKUP_SUFFIX).read_text() == CONFIG
    file.write_text(CONFIG)
    wrap(file, SHIM)


def test_documents_that_somebody_wrote_into_are_never_overwritten(file):
    documents = file.with_name("servers.yaml")
    wrap(file, SHIM, documents=documents)
    unwrap(file)
    wrap(file, SHIM, documents=documents)
    documents.write_text(documents.read_text() + "---\nkind: Agent\n")
    unwrap(file)
    with pytest.raises(Malformed) as there:
        wrap(file, SHIM, documents=documents)
    assert there.value.code == "client_config.documents_exist"
    assert file.read_text() == CONFIG, "and nothing was changed"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[]", "client_config.malformed"),
        ("{}", "client_config.malformed"),
        # Not UTF-8, as the files are written here.
        ('{"mcpServers": {"\xe4": {"command": "x"}}}', "client_config.malformed"),
        ('{"mcpServers": {}, "mcpServers": {}}', "json.duplicate_member"),
        ('{"mcpServers": {"a b": {"command": "x"}, "a-b": {"command": "x"}}}', "client_config.malformed"),
        ('{"mcpServers": {"!": {"command": "x"}}}', "name.invalid"),
        (
            '{"mcpServers": {"a": {"headers": {}, "url": "https://example.test"}}}',
            "client_config.nothing_to_wrap",
        ),
        ('{"mcpServers": {"a": {"command": "x", "args": [1]}}}', "client_config.nothing_to_wrap"),
    ],
)
def test_a_file_that_cannot_be_wrapped_stays_as_it_is(tmp_path, text, code):
    path = tmp_path / "mcp.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises((Malformed, Refused)) as error:
        wrap(path, SHIM)
    assert error.value.code == code
    assert [one.name for one in tmp_path.iterdir()] == ["mcp.json"]
    assert path.read_text(encoding="latin-1") == text


def test_files_that_are_not_there_or_not_wrapped_say_so(tmp_path, file):
    with pytest.raises(Unavailable):
        wrap(tmp_path / "none.json", SHIM)
    with pytest.raises(Unavailable):
        unwrap(file)
    file.with_name(file.name + BACKUP_SUFFIX).write_text(CONFIG)
    with pytest.raises(Refused):
        unwrap(file)


def test_a_link_stays_a_link(tmp_path, file):
    link = tmp_path / "link.json"
    link.symlink_to(file)
    wrap(link, SHIM)
    assert link.is_symlink()
    assert "shim" in file.read_text()


def test_names_become_registry_names_or_are_refused():
    assert registered_name("My Files (v2)") == "my-files-v2"
    with pytest.raises(Malformed):
        registered_name("")


def test_a_configuration_can_be_read_as_servers_without_being_changed():
    text = (
        '{"mcpServers": {"a": {"command": "x", "env": {"K": "v"}, "cwd": "."}, "b": {"url": "http://h/mcp"}}}'
    )
    assert servers_of(text) == (
        Server(name="a", command="x", env=(("K", "v"),), cwd="."),
        Server(name="b", url="http://h/mcp"),
    )
    with pytest.raises(Malformed):
        servers_of(CONFIG)
    assert "left" in str(wrapped(CONFIG, SHIM, file="/srv/mcp.json"))
    assert "s3cret" not in repr(wrapped(CONFIG, SHIM, file="/srv/mcp.json"))


def test_no_difference_shows_a_secret_and_only_its_owner_can_read_the_backup(file):
    report = wrap(file, SHIM)
    backup = file.with_name(file.name + BACKUP_SUFFIX)
    assert backup.read_text() == CONFIG
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    for diff in (report.diff, unwrap(file)):
        assert "s3cret" not in diff
        assert "t0ken" not in diff
        assert '"env": {"GITHUB_TOKEN": "(hidden)"}' in diff
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_masking_changes_nothing_but_values_below_secret_members():
    text = (
        r'{"a": {"env": {"K\"}": "v\"{", "L": 1, "M": [true, {"N": null}]}, "b": ["x", "env", "y"]},'
        '\n "headers": "h",  "env": {}, "auth": [[], "z"], "c": "env"}'
    )
    hidden = '"(hidden)"'
    assert masked(text) == (
        rf'{{"a": {{"env": {{"K\"}}": {hidden}, "L": {hidden}, "M": [{hidden}, {{"N": {hidden}}}]}},'
        r' "b": ["x", "env", "y"]},'
        f'\n "headers": {hidden},  "env": {{}}, "auth": [[], {hidden}], "c": "env"}}'
    )
