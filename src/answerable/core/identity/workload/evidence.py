"""Evidence about running workloads, and how reliable each part of it is.

Laws: a grade states who measured, and is never raised later; a mere claim is never treated as measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

Grade = Literal["kernel", "sidecar", "gateway", "claimed"]
GRADES: Final[tuple[Grade, ...]] = ("kernel", "sidecar", "gateway", "claimed")
"""Best first: measured by the kernel, measured by our sidecar, observed by the gateway, or only claimed."""

Source = Literal[
    "unix", "join_token", "oidc", "x509_pop", "ssh_host_key", "parent", "spiffe", "mtls", "registered_key"
]
"""How a workload was attested."""

SELECTOR_CHARS_MAX: Final = 512
SELECTORS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One attestation. selectors: `type:key:value` texts, such as `unix:uid:1000`, as measured, sorted. join_token:
    SHA-256, hex, of the join token that the attestation used up; empty for other methods and in stored evidence."""

    source: Source
    grade: Grade
    selectors: tuple[str, ...]
    join_token: str = field(default="", compare=False)


class CallerIdentity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The running instance that a message came from and its manifest, as policy and ledger see them.

    instance: SPIFFE ID; empty for a caller identified by a registered key, user id or certificate alone. grade, source:
    of the underlying evidence. manifest: digest of the agent's manifest in force, hex; empty without one.
    manifest_grade: the worst grade of all parts of the manifest: `claimed` if one part is only claimed, empty without a
    manifest. manifest_fields: the fields that were measured and match, by name, each with its grade; all others are
    only claimed. drifted: the running agent differs from its manifest. measured: digest of the manifest that it was
    measured against last, in force or not. key: thumbprint of the instance's own key. measured and key are empty if
    there is none.
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
