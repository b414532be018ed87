"""A token that was issued: its holder, the token it derives from, and its place in a status list.

Laws: a child never outlives its parent; a place in a status list is never given to a second token; every name whose
revocation ends a token is its own, its parent's, or in `through`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.mandate.revocation import RevocationTarget, instance_names

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


class StatusPlace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a token's status is published. list_number: number of the status list. index: place in that list."""

    list_number: int
    index: int


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An issued token. jti: its id. parent: the `jti` it derives from, empty for a token issued directly for a mandate.
    par_hash: the hash by which its children name it; empty for a token that cannot have children.

    key: thumbprint of the key it is bound to. manifest: digest of the agent's manifest, hex, empty without one.
    trust_domain, instance: those of the receiver, empty for none. expires_at: Unix milliseconds. through: names of what
    lies between this token and its parent and is in no register: hops that agents signed, and consents; sorted, and at
    most as many as a chain can have. An instance among them needs only its own name, which implies each instance that
    it is a sub-agent of.
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
        """Return the token's own names. Revoking any of them, or a name of an ancestor, ends the token."""
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
