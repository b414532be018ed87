"""A token that was issued: who it is for, what it derives from, and its place in a status list.

Laws: a child never outlives its parent; a place in a status list is never given to a second token; every name that a
token can end by is its own, its parent's, or among `through`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.mandate.revocation import RevocationTarget, instance_names

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


class StatusPlace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a token's status stands. list_number: which list. index: which place in it."""

    list_number: int
    index: int


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """jti: its id. parent: the `jti` it derives from, empty for one that was issued for a mandate. par_hash: the hash
    by which its children name it; empty for a token that nothing can be derived from.

    key: thumbprint of the key it is bound to. manifest: digest of the agent's, hex, empty without one. trust_domain,
    instance: of whom it was issued to, empty for none. expires_at: Unix milliseconds. through: names of what stands
    between it and its parent and is in no register: hops that agents signed, and consents; sorted, and as many as a
    chain can have. Of an instance among them its own name is enough: it ends with each that it is a sub-agent of.
    """

    jti: str
    parent: str = ""
    par_hash: str = ""
    mandate: MandateId
    agent: AgentId
    key: str
    manifest: str = ""
    trust_domain: str = ""
    instance: str = ""
    expires_at: UnixMillis
    place: StatusPlace
    through: tuple[RevocationTarget, ...] = ()

    def own_names(self) -> tuple[RevocationTarget, ...]:
        """The names that it has by itself; those of its ancestors end it, too."""
        pairs: tuple[RevocationTarget, ...] = (
            RevocationTarget("token", self.jti),
            RevocationTarget("hop", self.par_hash),
            RevocationTarget("mandate", self.mandate),
            RevocationTarget("agent", self.agent),
            RevocationTarget("key", self.key),
            RevocationTarget("manifest", self.manifest),
            RevocationTarget("trust_domain", self.trust_domain),
            *instance_names(self.instance),
            *self.through,
            *(name for one in self.through if one.kind == "agent" for name in instance_names(one.name)),
        )
        return tuple(one for one in pairs if one.name)
