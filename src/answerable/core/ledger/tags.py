"""Permanent integer tags of ledger entries. Numbers are for ever: append, document, never reuse or reorder.

A new tag needs a builder, a shape in `verify/leaf_shapes`, a sentence in `core/incident/timeline`, and a row in
`tests/seams`.

| tag | since      | entry           | meaning                                                                  |
|-----|------------|-----------------|--------------------------------------------------------------------------|
| 1   | 2026-11-24 | genesis         | first entry of a log: its origin and signing key                         |
| 2   | 2026-11-24 | intent          | an action that was decided `allow` and is about to be attempted          |
| 3   | 2026-11-24 | outcome         | how an intent ended, recorded by the walk itself or corrected later      |
| 4   | 2026-11-24 | indeterminate   | an intent whose end is not known; written by settling                    |
| 5   | 2026-11-24 | refusal         | an action of a verified principal that was not allowed, with reasons     |
| 6   | 2026-11-24 | refusals_counted| refusals past a quota, as counts; before tag 45 of unauthenticated callers, too |
| 7   | 2026-11-24 | approval_asked  | an action was deferred and people were asked                             |
| 8   | 2026-11-24 | approval_answer | a person answered, signed                                                |
| 9   | 2026-11-24 | mandate_issued  | a signed mandate was registered                                          |
| 10  | 2026-11-24 | mandate_closed  | a mandate was closed before its end                                      |
| 11  | 2026-11-24 | registry_change | registry documents were applied                                          |
| 12  | 2026-11-24 | policy_change   | a policy set was published                                               |
| 13  | 2026-11-24 | recovery        | the log was reopened after no orderly close or with damaged tiles; what was cut |
| 14  | 2026-11-24 | cited           | a mandate, policy set, tool, hop or consent, written once and referred to |
| 15  | 2026-11-24 | lease           | a lease was issued, used, renewed, revoked, has expired or is unrevoked  |
| 16  | 2026-11-24 | hold_placed     | a hold came into force                                                   |
| 17  | 2026-11-24 | hold_lifted     | a hold was lifted                                                        |
| 18  | 2026-11-24 | key_change      | the log signs with another key from here on                              |
| 19  | 2026-11-24 | erased          | a subject's key was destroyed, or an attachment removed                  |
| 20  | 2026-11-24 | gap             | something that should have been recorded was not, and how much           |
| 21  | 2026-11-24 | shard_head      | a checkpoint of another log, in the log of logs                          |
| 22  | 2026-11-24 | manifest_registered | the signed manifest of an agent came into force                      |
| 23  | 2026-11-24 | workload_enrolled   | an instance of an agent was attested and given its name              |
| 24  | 2026-11-24 | workload_ended      | an instance ended, and why; it never lives again                     |
| 25  | 2026-11-24 | svid_issued         | an identity document was issued to an instance                       |
| 26  | 2026-11-24 | authority_changed   | a key of the trust domain changed its state                          |
| 27  | 2026-11-25 | revoked         | a token, hop, mandate, agent, key, manifest, owner, vendor or domain was ended |
| 28  | 2026-11-27 | tool_pinned     | a tool definition came into force: signed by its owner, or at first sight      |
| 29  | 2026-11-27 | policy_proposed | a change of policy sets was proposed, signed; a second person publishes it |
| 30  | 2026-11-27 | containment_report  | what a hold stopped, what had already started, and what it could not stop  |
| 31  | 2026-11-27 | drill           | a stop, revocation or trace was tried on a shadow agent, and the result    |
| 32  | 2026-11-27 | rule_fired          | a stop rule held something, would have, or is about to                    |
| 33  | 2026-11-28 | passkey         | an invitation, an enrolled passkey, or refused sign-ins, as counts        |
| 34  | 2026-11-28 | passkey_removed | a passkey was removed; it never becomes valid again                       |
| 40  | 2026-11-28 | approval_void   | the action differs from what was shown; the approval cannot be used       |
| 36  | 2026-11-28 | glass_reviewed  | another person reviewed an action that ran by emergency access            |
| 38  | 2026-11-28 | approval_escalated  | the next people were notified of a pending approval                   |
| 39  | 2026-11-28 | duty            | a delegation of duty was given, signed, or ended early                    |
| 41  | 2026-11-28 | peoples_keys    | keys that people sign with from here on, beside those a change states       |
| 42  | 2026-11-28 | canary_told     | an approval was a test: what was wrong with it, and who noticed          |
| 44  | 2026-11-30 | policy_withdrawn    | a proposed change of policy sets was withdrawn                             |
| 45  | 2026-11-30 | door_refusal    | refusals at an endpoint before there was an action: who, why, how often  |
| 46  | 2026-11-30 | event_stream        | an agent made, changed or removed a stream of events of its own          |
| 50  | 2026-12-02 | log_finding     | a target's own log shows a bypass, a forged label, other content, no line|
| 47  | 2026-12-02 | incident            | a person opened an incident, noted on it or closed it, signed            |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Tag(IntEnum):
    """Entry types that this version writes. Entries with other tags are stored byte for byte."""

    GENESIS = 1
    INTENT = 2
    OUTCOME = 3
    INDETERMINATE = 4
    REFUSAL = 5
    REFUSALS_COUNTED = 6
    APPROVAL_ASKED = 7
    APPROVAL_ANSWER = 8
    MANDATE_ISSUED = 9
    MANDATE_CLOSED = 10
    REGISTRY_CHANGE = 11
    POLICY_CHANGE = 12
    RECOVERY = 13
    CITED = 14
    LEASE = 15
    HOLD_PLACED = 16
    HOLD_LIFTED = 17
    KEY_CHANGE = 18
    ERASED = 19
    GAP = 20
    SHARD_HEAD = 21
    MANIFEST_REGISTERED = 22
    WORKLOAD_ENROLLED = 23
    WORKLOAD_ENDED = 24
    SVID_ISSUED = 25
    AUTHORITY_CHANGED = 26
    REVOKED = 27
    TOOL_PINNED = 28
    POLICY_PROPOSED = 29
    CONTAINMENT_REPORT = 30
    DRILL = 31
    RULE_FIRED = 32
    PASSKEY = 33
    PASSKEY_REMOVED = 34
    APPROVAL_VOID = 40
    GLASS_REVIEWED = 36
    APPROVAL_ESCALATED = 38
    DUTY = 39
    PEOPLES_KEYS = 41
    CANARY_TOLD = 42
    POLICY_WITHDRAWN = 44
    DOOR_REFUSAL = 45
    EVENT_STREAM = 46
    LOG_FINDING = 50
    INCIDENT = 47


OWED: Final = frozenset(
    {
        Tag.OUTCOME,
        Tag.INDETERMINATE,
        Tag.MANDATE_CLOSED,
        Tag.RECOVERY,
        Tag.HOLD_PLACED,
        Tag.CONTAINMENT_REPORT,
        Tag.ERASED,
        Tag.GAP,
        Tag.WORKLOAD_ENDED,
        Tag.AUTHORITY_CHANGED,
        Tag.REVOKED,
        Tag.RULE_FIRED,
        Tag.PASSKEY_REMOVED,
        Tag.CANARY_TOLD,
    }
)
"""Entries that must be recorded because something already happened or is being stopped: they may use the reserved
space."""
