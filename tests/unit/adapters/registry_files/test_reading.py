"""Documents in files, and the place of each fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from answerable.adapters.registry_files import read_paths, read_text
from answerable.adapters.registry_files.reading import FILE_BYTES_MAX
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.testing.samples import POLICIES, document, registry_documents, signing_key


def written(directory, name, *documents):
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return file


def test_a_directory_is_read_in_order_of_name_at_any_depth(tmp_path):
    first, *rest = registry_documents()
    written(tmp_path, "b/two.yml", *rest)
    written(tmp_path, "a.yaml", first)
    written(tmp_path, ".hidden.yaml", {"x": 1})
    written(tmp_path, ".git/x.yaml", {"x": 1})
    (tmp_path / "notes.txt").write_text("no document")
    reading = read_paths([tmp_path])
    assert reading.faults == ()
    assert list(reading.documents) == registry_documents()
    assert [Path(origin.file).name for origin in reading.origins] == ["a.yaml", *["two.yml"] * 8]


@pytest.mark.requirement("REG-01")
def test_faults_of_documents_are_told_with_file_line_and_nearest_key(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: answerable/v1\n"
        "kind: UseCase\n"
        "metadata: {name: support}\n"
        "spec:\n"
        "  purpose: x\n"
        "  ownership:\n"
        "    ownr: alice\n"
        "---\n"
        "apiVersion: answerable/v1\n"
        "kind: UseCase\n"
        "metadata:\n"
        "  name: sales\n"
        "spec:\n"
        "  issuers: [leads]\n"
    )
    reading = read_paths([file])
    assert [reading.located(fault) for fault in faults_of(reading.documents)] == [
        f"{file}:7: unknown key `ownr`; did you mean `owner`?",
        f"{file}:13: `purpose` is missing",
    ]


def test_a_fault_of_a_document_from_elsewhere_has_no_place(tmp_path):
    reading = read_paths([written(tmp_path, "a.yaml", registry_documents()[0])])
    faults = faults_of([*reading.documents, {"kind": "Agnet"}])
    assert reading.located(faults[-1]).startswith("kind `Agnet` is not known")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), f"more than {FILE_BYTES_MAX} bytes"),
        (b"a: 1\na: 2\n", ":2: key `a` is written twice"),
        (None, "no such file or directory"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path, content, says):
    good, bad = written(tmp_path, "good.yaml", registry_documents()[0]), tmp_path / "bad.yaml"
    if content is not None:
        bad.write_bytes(content)
    reading = read_paths([bad, good])
    assert len(reading.faults) == 1
    assert reading.faults[0].startswith(str(bad))
    assert says in reading.faults[0]
    assert registry_documents()[0] in reading.documents


def test_a_directory_without_documents_is_told(tmp_path):
    assert read_paths([tmp_path]).faults == (f"{tmp_path}: no file that ends in .yaml or .yml",)


def test_too_many_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("answerable.adapters.registry_files.reading.FILES_MAX", 1)
    for name in ("a.yaml", "b.yaml"):
        written(tmp_path, name, registry_documents()[0])
    assert read_paths([tmp_path]).faults == ("2 files, expected at most 1",)


def test_a_policy_set_takes_its_text_from_a_file_beside_it(tmp_path):
    (tmp_path / "house.cedar").write_text(POLICIES)
    file = written(tmp_path, "a.yaml", document("PolicySet", "house", {"file": "house.cedar"}))
    reading = read_paths([file])
    assert reading.faults == ()
    assert reading.documents[0]["spec"] == {"policies": POLICIES}


def test_keys_are_taken_from_files_beside_the_document(tmp_path):
    key = json.loads(signing_key("carol").public.jwk)
    (tmp_path / "carol.jwk").write_text(json.dumps(key))
    alice = registry_documents()[0]["spec"]["keys"][0]
    spec = {"keyFile": "carol.jwk", "keys": [alice]}
    reading = read_paths([written(tmp_path, "a.yaml", document("Principal", "carol", spec))])
    assert reading.faults == ()
    assert reading.documents[0]["spec"] == {"keys": [alice, key]}
    assert faults_of(reading.documents) == ()


def test_a_fault_in_a_key_file_is_told_at_the_line_that_names_it(tmp_path):
    (tmp_path / "x.jwk").write_text('{"kty":"oct","k":"AAAA"}')
    file = written(tmp_path, "a.yaml", document("Agent", "x", {"keyFile": "x.jwk"}))
    reading = read_paths([file])
    told = [reading.located(fault) for fault in faults_of(reading.documents)]
    assert f"{file}:6: this key has a private part" in told[2]
    assert "AAAA" not in "".join(told)


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("PolicySet", {"file": "x.txt"}, "is not a relative path that ends in .cedar"),
        ("PolicySet", {"file": "/etc/x.cedar"}, "is not a relative path"),
        ("PolicySet", {"file": "none.cedar"}, "cannot read `none.cedar`: no such file or directory"),
        ("PolicySet", {"file": "latin.cedar"}, "not UTF-8"),
        ("Agent", {"keyFile": "passwd"}, "ends in .jwk or .json"),
        ("Agent", {"keyFile": "big.jwk"}, "more than 4096 bytes"),
        ("Principal", {"keyFile": "bad.jwk"}, "`bad.jwk`: member given twice"),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_at_the_line_that_names_it(tmp_path, kind, spec, says):
    (tmp_path / "latin.cedar").write_bytes(b"\xff")
    (tmp_path / "big.jwk").write_text("{" + " " * 5000 + "}")
    (tmp_path / "bad.jwk").write_text('{"kty":"OKP","kty":"EC"}')
    file = written(tmp_path, "a.yaml", document(kind, "x", spec))
    (fault,) = read_paths([file]).faults
    assert fault.startswith(f"{file}:6: ")
    assert says in fault


def test_a_stdio_server_runs_where_its_document_says_wherever_that_is_read_from(tmp_path):
    spec = {"command": "./serve", "cwd": "../srv", "env": {"TOKEN": "file:secret", "A": "b", "B": "env:X"}}
    here = written(tmp_path, "conf/a.yaml", document("Server", "crm", spec))
    written(tmp_path, "conf/b.yaml", document("Server", "erp", {"command": "x"}))
    written(tmp_path, "conf/c.yaml", document("Server", "web", {"url": "http://127.0.0.1/mcp"}))
    servers = snapshot_of(read_paths([here.parent]).documents).servers
    conf = here.parent.resolve()
    assert servers["crm"].cwd == str(conf.parent / "srv")
    assert dict(servers["crm"].env) == {"A": "b", "B": "env:X", "TOKEN": f"file:{conf / 'secret'}"}
    assert servers["erp"].cwd == str(conf)
    assert servers["web"].cwd == ""


def test_a_text_is_read_like_a_file(tmp_path):
    text = yaml.safe_dump_all(registry_documents())
    reading = read_text(text + "---\na: 1\na: 2\n", file="standard input", directory=tmp_path)
    assert len(reading.documents) == 10
    assert reading.faults[0].startswith("standard input:")


@pytest.mark.parametrize("value", [[1], "text", {"spec": 1}, {"kind": "PolicySet", "spec": {"file": 1}}])
def test_documents_of_no_shape_are_left_for_the_parser_to_refuse(tmp_path, value):
    reading = read_paths([written(tmp_path, "a.yaml", value)])
    assert reading.documents == (value,)
    assert faults_of(reading.documents)


def test_keys_that_are_no_list_are_left_for_the_parser_to_refuse(tmp_path):
    (tmp_path / "x.jwk").write_text("{}")
    spec = {"keyFile": "x.jwk", "keys": "x"}
    reading = read_paths([written(tmp_path, "a.yaml", document("Agent", "x", spec))])
    assert reading.documents[0]["spec"] == {"keys": "x"}


@pytest.mark.parametrize("change", [{"cwd": 1}, {"env": []}, {"env": {"A": 1}}])
def test_a_server_of_odd_shape_is_left_for_the_parser_to_refuse(tmp_path, change):
    reading = read_paths([written(tmp_path, "a.yaml", document("Server", "x", {"command": "x", **change}))])
    assert faults_of(reading.documents)
