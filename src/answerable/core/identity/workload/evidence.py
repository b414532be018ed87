"""What is known about a running workload, and how well.

Laws: a grade says who measured, and is never raised on the way; what was only claimed is never taken for measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

Grade = Literal["kernel", "sidecar", "gateway", "claimed"]
GRADES: Final[tuple[Grade, ...]] = ("kernel", "sidecar", "gateway", "claimed")
"""Best first: measured by the kernel, by our sidecar, observed by the gateway, or merely said."""

Source = Literal[
    "unix", "join_token", "oidc", "x509_pop", "ssh_host_key", "parent", "spiffe", "mtls", "registered_key"
]
"""How a workload showed what it is."""

SELECTOR_CHARS_MAX: Final = 512
SELECTORS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One attestation. selectors: `type:key:value` texts, such as `unix:uid:1000`, as measured, sorted. join_token:
    SHA-256 of the one that was used up for it, hex; empty where none was, and where it is kept."""

    source: Source
    grade: Grade
    selectors: tuple[str, ...]
    join_token: str = field(default="", compare=False)


class CallerIdentity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which running instance a message came from, and what it is made of, as policy and ledger see it.

    instance: SPIFFE ID; empty for a caller known by a registered key, user id or certificate alone. grade, source:
    of the evidence behind it. manifest: digest of the agent's manifest in force, hex; empty without one.
    manifest_grade: how well it is known that this is what runs, as well as the worst known of all that it says:
    `claimed` where one part is only claimed, empty without a manifest. manifest_fields: what was measured and matches,
    by name, each with its grade; all else that the manifest says is claimed. drifted: the running agent differs from
    its manifest. measured: digest of the manifest that it was measured against last, in force or not. key: thumbprint
    of the instance's own key; both empty where there is none.
    """

    instance: str = ""
    source: Source = "registered_key"
    grade: Grade = "claimed"
    manifest: str = ""
    manifest_grade: Grade | Literal[""] = ""
    manifest_fields: tuple[tuple[str, Grade], ...] = ()
    drifted: bool = False
    measured: str = ""
    key: str = ""


UNKNOWN_IDENTITY: Final = CallerIdentity()
