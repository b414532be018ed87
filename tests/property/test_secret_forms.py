"""What is taken for a secret in configuration, and what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.lease import secret_forms
from answerable.core.lease.secret_forms import FOUND_MAX, OVERLAP_CHARS, PIECE_CHARS, secrets_in
from answerable.core.lease.standing import REPLACEMENTS, STANDING_KINDS, fingerprint_of

# In pieces, so that no scanner of others takes them for real ones.
GITHUB = "ghp_" + "a1B2" * 9
AWS_ID = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_KEY = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
MODEL = "sk-" + "proj-" + "abcd1234" * 4
SLACK = "xoxb-" + "123456789012-abcdefghijkl"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
PEM = (
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
)
MCP = json.dumps(
    {
        "mcpServers": {
            "db": {"command": "npx", "args": ["--connection", "postgresql://app:s3cretpass@db:5432/prod"]},
            "hub": {"command": "hub", "env": {"GITHUB_TOKEN": GITHUB, "LOG": "debug"}},
            "chat": {"url": "https://chat.example", "headers": {"Authorization": f"Bearer {SLACK}"}},
            "odd": {"command": "x", "args": ["--api-key", "zq8v77cc01kk"]},
        }
    },
    indent=1,
)

pytestmark = pytest.mark.requirement("STAND-01")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (".env", f"# keys\nOPENAI_API_KEY={MODEL}\nDEBUG=1\n", [("model_key", 2, MODEL)]),
        (".env", "export DB_PASSWORD='hunter2hunter2'\n", [("database_password", 1, "hunter2hunter2")]),
        ("credentials", f"[default]\naws_access_key_id = {AWS_ID}\naws_secret_access_key = {AWS_KEY}\n",
         [("cloud_key", 2, AWS_ID), ("cloud_key", 3, AWS_KEY)]),
        (".pgpass", "# c\ndb:5432:prod:app:p4ss\\:word\n", [("database_password", 2, "p4ss\\:word")]),
        (".netrc", "machine git.example login me password tr0ub4dor\n", [("password", 1, "tr0ub4dor")]),
        ("config.json", '{"auths": {"registry.example": {"auth": "dXNlcjpwYXNzd29yZA=="}}}',
         [("registry_login", 1, "dXNlcjpwYXNzd29yZA==")]),
        ("kubeconfig", "users:\n- user:\n    token: abcdef.0123456789abcdef\n    client-key-data: TFMwdExTMUNSVWQ=\n",
         [("cluster_credential", 3, "abcdef.0123456789abcdef"), ("cluster_credential", 4, "TFMwdExTMUNSVWQ=")]),
        ("id_ed25519", PEM, [("private_key", 1, "b3BlbnNzaC1rZXktdjEAAAAA-----END OPENSSH PRIVATE KEY-----")]),
        ("sa.json", json.dumps({"client_email": "x@y", "private_key": PEM, "refreshToken": "1//0abcdefgh"}),
         [("private_key", 1, None), ("token", 1, "1//0abcdefgh")]),
        ("answerable.toml", 'hsm_pin = "env:PIN"\npassword = "file:secrets/db"\n', []),
        ("app.yaml", f"service:\n  jwt: {JWT}\n", [("token", 2, JWT)]),
        (".npmrc", "//registry.example/:_authToken=abcdef-1234567890\n", [("token", 1, "abcdef-1234567890")]),
        ("app.ini", "url = https://me:passw0rd-x@git.example/r.git\n", [("password", 1, "passw0rd-x")]),
    ],
)  # fmt: skip
def test_the_usual_secrets_are_found_with_their_line(name, text, found):
    told = [(one.kind, one.line, one.value) for one in secrets_in(name, text)]
    wanted = [(kind, line, value) for kind, line, value in found if value is not None]
    assert [one for one in wanted if one not in told] == []
    assert len(told) == len(found), told


def test_a_client_of_mcp_is_looked_through_whole():
    found = {one.value: one for one in secrets_in("mcp.json", MCP)}
    assert set(found) == {"s3cretpass", GITHUB, SLACK, "zq8v77cc01kk"}
    assert found[GITHUB].kind == "source_host_token"
    assert found["s3cretpass"].kind == "database_password"
    assert GITHUB not in repr(found[GITHUB])
    squeezed = json.dumps({"pad": "x" * 50_000, **json.loads(MCP), "more": ["y"] * 9_000})
    assert {one.value for one in secrets_in("mcp.json", squeezed)} == set(found)


@pytest.mark.parametrize(
    "line",
    [
        "password: ${DB_PASSWORD}",
        "token = $TOKEN",
        "password = file:/run/secret",
        "api_key: store:crm",
        "API_KEY=<your key>",
        "API_KEY=your-api-key-here",
        "password: changeme",
        "token: null",
        "password_min_length: 12345678",
        "tokens_max = 4096000000",
        '{"type": "string", "title": "password"}',
        "secretName: db-credentials-x",
        "author: somebody-else",
        "monkey=bananas-are-good",
        "url: https://git.example/r.git",
        "task-force-1234567890abcdef",
    ],
)
def test_references_and_places_left_open_are_none(line):
    assert list(secrets_in("app.conf", line)) == []


@given(text=st.text(max_size=400), name=st.sampled_from([".env", ".pgpass", ".netrc", "config.json", "x"]))
def test_any_text_is_read_and_what_is_found_is_in_it(text, name):
    lines = text.splitlines()
    for one in secrets_in(name, text):
        assert 1 <= one.line <= len(lines)
        assert one.value in text.replace("\n", "") or one.kind == "private_key"


class Bounded:
    """A pattern that is given no long text, and together with others no more of it than `left`."""

    def __init__(self, pattern, left):
        self._pattern, self._left = pattern, left

    def _given(self, text):
        assert len(text) <= PIECE_CHARS
        self._left[0] -= len(text)
        assert self._left[0] >= 0, "the text is looked at more often than its length allows"

    def finditer(self, text):
        self._given(text)
        return self._pattern.finditer(text)

    def search(self, text):
        self._given(text)
        return self._pattern.search(text)


@pytest.mark.requirement("STAND-03")
@pytest.mark.parametrize(
    "text",
    ["=" * 300_000, '"a":' * 100_000, "token=" * 60_000, "a" * 500_000, "eyJ" * 200_000, "://:" * 100_000,
     "password:" + " " * 400_000, ("a." * 200_000), "\n" * 20_000, "x://a:" * 100_000],
)  # fmt: skip
def test_no_text_is_looked_at_beyond_its_length_or_in_pieces_that_are_long(text, monkeypatch):
    """What one pattern may do with a text grows with the length of what it is given, and so does how often."""
    kinds = len(secret_forms._VALUES)
    pieces = PIECE_CHARS / (PIECE_CHARS - OVERLAP_CHARS)
    # Each pattern looks at each piece, and each of those by value at what was found by name.
    left = [(kinds + 3) * (pieces * len(text) + PIECE_CHARS) + kinds * len(text)]
    for name in ("_URL", "_PEM", "_ASSIGNED"):
        monkeypatch.setattr(secret_forms, name, Bounded(getattr(secret_forms, name), left))
    values = tuple((kind, Bounded(pattern, left)) for kind, pattern in secret_forms._VALUES)
    monkeypatch.setattr(secret_forms, "_VALUES", values)
    assert len(list(secrets_in("x.json", text))) <= FOUND_MAX


@pytest.mark.requirement("STAND-02")
@given(value=st.text(min_size=1), key=st.binary(min_size=16, max_size=32))
def test_a_fingerprint_is_the_same_for_the_same_secret_and_another_under_another_key(value, key):
    made = fingerprint_of(value, key)
    assert made == fingerprint_of(value, key)
    assert len(made) == 12
    assert made != fingerprint_of(value, key + b"x")


def test_every_kind_has_something_to_take_its_place():
    assert set(REPLACEMENTS) == set(STANDING_KINDS)
