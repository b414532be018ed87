"""Where a life of the seams is: its data directory, perhaps a disk of its own, and the settings of each process."""

from __future__ import annotations

from dataclasses import dataclass

from tests.probes.small_disk import on_a_small_disk
from tests.worlds.up import House

REFUSALS_MAX = 150
"""Of one agent before it is held: more than those of any other row in a life."""
VAULT_LOG = "vault.json"
"""The log of a target, beside the data directory."""
SETTINGS = f"""\
[gateway]
port = 0
approval_wait_seconds = 0
[ledger]
seal_seconds = 1
[walk]
refusals_recorded_max = {REFUSALS_MAX}
approvals_pending_per_agent_max = 200
[policy]
publishers = "leads"
[logs]
follow = ["vault postgres ../{VAULT_LOG} account=shared"]
[tokens]
issuer = "https://tokens.seams.test"
"""
TARGET = """\
kind = "http"
base_url = "{url}"
auth = "client_credentials"
token_url = "{url}/token"
revocation_url = "{url}/revoke"
introspection_url = "{url}/introspect"
is_introspected = true
client_id = "broker"
secret = "file:secret"
tokens_file = "{tokens}"
"""


@dataclass
class Home(House):
    """A data directory, or another process on one. shard: of this process, empty where there is but one."""

    shard: str = ""

    def __post_init__(self) -> None:
        self.data = self.root / "house"
        name = f"{self.shard}.toml" if self.shard else "answerable.toml"
        self.data.mkdir(mode=0o700, exist_ok=True)
        sharded = self.settings.replace("[ledger]", f'[ledger]\nshard = "{self.shard}"')
        (self.data / name).write_text(on_a_small_disk(sharded if self.shard else self.settings))

    def line(self, *arguments: str) -> list[str]:
        of_shard = ("--config", str(self.data / f"{self.shard}.toml")) if self.shard else ()
        return super().line(*of_shard, *arguments)

    def socket(self, name: str) -> str:
        """Where its control API or its gateway is."""
        return str(self.data / (f"{name}-{self.shard}.sock" if self.shard else f"{name}.sock"))
