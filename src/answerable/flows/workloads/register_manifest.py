"""Register a manifest that an agent's owner signed, and put it into force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.ledger.records_identity import manifest_registered
from answerable.core.ledger.subject import principal_subject
from answerable.core.registry.manifests.manifest_token import standing_fault, verified_manifest
from answerable.errors import shown
from answerable.errors.codes.registry import MANIFEST_FUTURE, MANIFEST_OLDER
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.revoke_authority import take_away_from_agents

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.flows.state.parts import AuthorityRegisters, InProgress, LiveAccess, Recorder
    from answerable.ports.manifest_register import ManifestRegister

CLOCK_AHEAD_MS_MAX: Final = 60_000
"""How far a signer's clock may run ahead of the gateway's."""


async def register_manifest(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    live: LiveAccess,
    token: str,
    *,
    by: str,
) -> SignedManifest:
    """Verify a signed manifest against the registry, record it and put it into force.

    A manifest already in force changes nothing and is not recorded again. `by`: who submits it. Raises as
    `verified_manifest`; Unverified (`manifest.future`); Malformed (`manifest.older`) unless it was signed after the one
    in force; Unavailable.
    """
    signed = verified_manifest(token, current=authority.registry.current)
    # Serialised with other manifests and with applied documents: the agent's owner must not change meanwhile.
    async with under_way.applying:
        # 0. Record the signing key if the ledger lacks it; everything else is checked after that wait.
        signed_with = await key_file(
            recorder, authority.registry, under_way, signed.signed_by, signed.key, applying=True
        )
        now = recorder.clock.now()
        fault = standing_fault(signed, authority.registry.current)
        if fault is not None:
            raise fault
        if _is_in_force(authority.manifests, signed, now):
            return signed
        # 1. Ledger first. After a crash here the manifest is recorded but not in force; submit it again.
        entry = manifest_registered(
            signed,
            at=now,
            sealing=sealing_for(recorder, principal_subject(signed.signed_by)),
            signer=pseudonym_of(recorder, signed.signed_by),
            by=by,
            person=pseudonym_of(recorder, by),
            key_file=signed_with,
        )
        _, left = await record_entry(recorder, entry)
        # 2. In force.
        authority.manifests.put(signed)
        # 3. Its signer may have been revoked before. After a crash before this line the next start does this.
        await take_away_from_agents(authority, live)
    if left is not None:
        raise left
    return signed


def _is_in_force(manifests: ManifestRegister, signed: SignedManifest, now: UnixMillis) -> bool:
    """Whether this token is in force already. Raises if it must not come into force."""
    agent = signed.manifest.agent
    if signed.signed_at > now + CLOCK_AHEAD_MS_MAX:
        ahead = signed.signed_at - now
        raise MANIFEST_FUTURE(f"the manifest was signed {ahead} ms in the future: check the signer's clock")
    kept = manifests.current(agent)
    if kept is None:
        return False
    if kept.token == signed.token:
        return True
    if signed.signed_at <= kept.signed_at:
        raise MANIFEST_OLDER(
            f"agent {shown(agent)} already has a manifest that was signed at the same time or "
            "later: sign this one again"
        )
    return False
