"""The broker's own accounts in the inventory of standing secrets, by kind of target."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.wiring.settings import load_settings
from answerable.wiring.standing import broker_standing

AWS = """
kind = "aws"
region = "eu-central-1"
roles = ["arn:aws:iam::123456789012:role/support"]
access_key = "AKIAIOSFODNN7EXAMPLE"
secret_key = "env:KEY"
denies = true
"""
GITHUB = (
    'kind = "github_app"\napp = "Iv23liExample"\nkey = "env:KEY"\ninstallation = 51234567\nowner = "octo"\n'
)
OAUTH = """
kind = "http"
base_url = "https://crm.example/api"
auth = "client_credentials"
token_url = "https://login.example/token"
revocation_url = "https://login.example/token/revocation"
introspection_url = "https://login.example/token/introspection"
is_introspected = true
client_id = "broker"
secret = "env:KEY"
"""
OPENBAO = """
kind = "openbao"
url = "https://openbao.internal:8200"
role_id = "5f1b6f2e-1c8a-4e0f-9a53-0d2f4a3b7c11"
secret_id = "env:KEY"
paths = ["database/creds/support-read"]
acts_by = "postgres"
acts_with = 'databases = ["support"]'
"""
POSTGRES = 'kind = "postgres"\ndatabases = ["prod"]\naccount = "broker_of_shop"\npassword = "env:KEY"\n'


@pytest.mark.requirement("STAND-04")
@pytest.mark.parametrize(
    ("target", "name"),
    [
        (AWS, "AKIAIOSFODNN7EXAMPLE (secret_key)"),
        (GITHUB, "Iv23liExample (key)"),
        (OAUTH, "broker (secret)"),
        (OPENBAO, "5f1b6f2e-1c8a-4e0f-9a53-0d2f4a3b7c11 (secret_id)"),
        (POSTGRES, "broker_of_shop (password)"),
    ],
    ids=["aws", "github_app", "http", "openbao", "postgres"],
)
def test_a_secret_of_a_target_is_named_after_the_account_that_it_opens(
    tmp_path: Path, target: str, name: str
) -> None:
    (tmp_path / "broker/targets").mkdir(parents=True)
    (tmp_path / "broker/targets/shop.toml").write_text(target)
    [found] = broker_standing(load_settings(tmp_path))
    assert (found.where, found.name, found.kept) == ("target shop", name, "env:KEY")
