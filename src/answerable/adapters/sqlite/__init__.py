"""Store the registers and the registry in one SQLite file."""

from __future__ import annotations

from answerable.adapters.sqlite.agent_uses import SqliteAgentUses
from answerable.adapters.sqlite.approval_statistics import SqliteFiguresRegister
from answerable.adapters.sqlite.approvals import SqliteApprovalRegister
from answerable.adapters.sqlite.authorities import SqliteAuthorityRegister
from answerable.adapters.sqlite.citations import SqliteCitationRegister
from answerable.adapters.sqlite.deliveries import SqliteDeliveryRegister
from answerable.adapters.sqlite.drills import SqliteDrillRegister
from answerable.adapters.sqlite.duties import SqliteDutyRegister
from answerable.adapters.sqlite.epochs import SqliteEpochs
from answerable.adapters.sqlite.events import SqliteEventRegister
from answerable.adapters.sqlite.history import SqliteHistoryRegister
from answerable.adapters.sqlite.holds import SqliteHoldRegister
from answerable.adapters.sqlite.instances import SqliteInstanceRegister
from answerable.adapters.sqlite.join_tokens import SqliteJoinTokens
from answerable.adapters.sqlite.mandates import SqliteMandateRegister
from answerable.adapters.sqlite.manifests import SqliteManifestRegister
from answerable.adapters.sqlite.passkeys import SqlitePasskeyRegister
from answerable.adapters.sqlite.policies import SqlitePolicyRegister
from answerable.adapters.sqlite.prepared import SqlitePreparedRegister
from answerable.adapters.sqlite.projections import SqliteProjections
from answerable.adapters.sqlite.pushes import SqlitePushRegister
from answerable.adapters.sqlite.register_room import SqliteRegisterRoom
from answerable.adapters.sqlite.registry import SqliteRegistryStore
from answerable.adapters.sqlite.revocations import SqliteRevocationRegister
from answerable.adapters.sqlite.sightings import SqliteSightings
from answerable.adapters.sqlite.store import SqliteStore
from answerable.adapters.sqlite.subject_keys import SqliteSubjectKeys, StoredSubjectKeys
from answerable.adapters.sqlite.tokens import SqliteTokenRegister
from answerable.adapters.sqlite.tool_pins import SqliteToolPinRegister
from answerable.adapters.sqlite.view_challenges import SqliteOpeningRegister

__all__ = [
    "SqliteAgentUses",
    "SqliteApprovalRegister",
    "SqliteAuthorityRegister",
    "SqliteCitationRegister",
    "SqliteDeliveryRegister",
    "SqliteDrillRegister",
    "SqliteDutyRegister",
    "SqliteEpochs",
    "SqliteEventRegister",
    "SqliteFiguresRegister",
    "SqliteHistoryRegister",
    "SqliteHoldRegister",
    "SqliteInstanceRegister",
    "SqliteJoinTokens",
    "SqliteMandateRegister",
    "SqliteManifestRegister",
    "SqliteOpeningRegister",
    "SqlitePasskeyRegister",
    "SqlitePolicyRegister",
    "SqlitePreparedRegister",
    "SqliteProjections",
    "SqlitePushRegister",
    "SqliteRegisterRoom",
    "SqliteRegistryStore",
    "SqliteRevocationRegister",
    "SqliteSightings",
    "SqliteStore",
    "SqliteSubjectKeys",
    "SqliteTokenRegister",
    "SqliteToolPinRegister",
    "StoredSubjectKeys",
]
