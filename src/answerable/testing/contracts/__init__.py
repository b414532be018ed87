"""Contract suites: the promises of each port as tests that run on any adapter."""

from __future__ import annotations

from answerable.testing.contracts.approval_register import (
    ApprovalRegisterContract,
    DurableApprovalRegisterContract,
)
from answerable.testing.contracts.authority_keys import AuthorityKeysContract, DurableAuthorityKeysContract
from answerable.testing.contracts.authority_register import (
    AuthorityRegisterContract,
    DurableAuthorityRegisterContract,
)
from answerable.testing.contracts.bundle_endpoint import BundleEndpointContract
from answerable.testing.contracts.challenge_register import (
    DurableOpeningRegisterContract,
    OpeningRegisterContract,
)
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from answerable.testing.contracts.delivery_register import (
    DeliveryRegisterContract,
    DurableDeliveryRegisterContract,
)
from answerable.testing.contracts.drill_register import DrillRegisterContract, DurableDrillRegisterContract
from answerable.testing.contracts.duty_register import DurableDutyRegisterContract, DutyRegisterContract
from answerable.testing.contracts.epochs import EpochsContract
from answerable.testing.contracts.event_register import (
    DurableEventRegisterContract,
    EventRegisterContract,
)
from answerable.testing.contracts.figures_register import (
    DurableFiguresRegisterContract,
    FiguresRegisterContract,
)
from answerable.testing.contracts.history_register import (
    DurableHistoryRegisterContract,
    HistoryRegisterContract,
)
from answerable.testing.contracts.hold_register import DurableHoldRegisterContract, HoldRegisterContract
from answerable.testing.contracts.instance_register import (
    DurableInstanceRegisterContract,
    InstanceRegisterContract,
)
from answerable.testing.contracts.intent_log import IntentLogContract
from answerable.testing.contracts.join_tokens import DurableJoinTokensContract, JoinTokensContract
from answerable.testing.contracts.lease_register import DurableLeaseRegisterContract, LeaseRegisterContract
from answerable.testing.contracts.ledger import DurableLedgerContract, LedgerContract
from answerable.testing.contracts.mandate_register import (
    DurableMandateRegisterContract,
    MandateRegisterContract,
)
from answerable.testing.contracts.manifest_register import (
    DurableManifestRegisterContract,
    ManifestRegisterContract,
)
from answerable.testing.contracts.passkey_register import (
    DurablePasskeyRegisterContract,
    PasskeyRegisterContract,
)
from answerable.testing.contracts.policy_register import DurablePolicyRegisterContract, PolicyRegisterContract
from answerable.testing.contracts.prepared_register import (
    DurablePreparedRegisterContract,
    PreparedRegisterContract,
)
from answerable.testing.contracts.push_register import DurablePushRegisterContract, PushRegisterContract
from answerable.testing.contracts.registry_store import DurableRegistryStoreContract, RegistryStoreContract
from answerable.testing.contracts.replay_store import ReplayStoreContract, SharedReplayStoreContract
from answerable.testing.contracts.revocation_register import (
    DurableRevocationRegisterContract,
    RevocationRegisterContract,
)
from answerable.testing.contracts.subject_keys import DurableSubjectKeysContract, SubjectKeysContract
from answerable.testing.contracts.target import TargetBench, TargetContract
from answerable.testing.contracts.token_register import DurableTokenRegisterContract, TokenRegisterContract
from answerable.testing.contracts.tool_pins import DurableToolPinRegisterContract, ToolPinRegisterContract
from answerable.testing.contracts.witness_register import WitnessRegisterContract

__all__ = [
    "ApprovalRegisterContract",
    "AuthorityKeysContract",
    "AuthorityRegisterContract",
    "BundleEndpointContract",
    "CredentialIssuerContract",
    "DeliveryRegisterContract",
    "DrillRegisterContract",
    "DurableApprovalRegisterContract",
    "DurableAuthorityKeysContract",
    "DurableAuthorityRegisterContract",
    "DurableDeliveryRegisterContract",
    "DurableDrillRegisterContract",
    "DurableDutyRegisterContract",
    "DurableEventRegisterContract",
    "DurableFiguresRegisterContract",
    "DurableHistoryRegisterContract",
    "DurableHoldRegisterContract",
    "DurableInstanceRegisterContract",
    "DurableJoinTokensContract",
    "DurableLeaseRegisterContract",
    "DurableLedgerContract",
    "DurableMandateRegisterContract",
    "DurableManifestRegisterContract",
    "DurableOpeningRegisterContract",
    "DurablePasskeyRegisterContract",
    "DurablePolicyRegisterContract",
    "DurablePreparedRegisterContract",
    "DurablePushRegisterContract",
    "DurableRegistryStoreContract",
    "DurableRevocationRegisterContract",
    "DurableSubjectKeysContract",
    "DurableTokenRegisterContract",
    "DurableToolPinRegisterContract",
    "DutyRegisterContract",
    "EpochsContract",
    "EventRegisterContract",
    "FiguresRegisterContract",
    "HistoryRegisterContract",
    "HoldRegisterContract",
    "InstanceRegisterContract",
    "IntentLogContract",
    "IssuerBench",
    "JoinTokensContract",
    "LeaseRegisterContract",
    "LedgerContract",
    "MandateRegisterContract",
    "ManifestRegisterContract",
    "OpeningRegisterContract",
    "PasskeyRegisterContract",
    "PolicyRegisterContract",
    "PreparedRegisterContract",
    "PushRegisterContract",
    "RegistryStoreContract",
    "ReplayStoreContract",
    "RevocationRegisterContract",
    "SharedReplayStoreContract",
    "SubjectKeysContract",
    "TargetBench",
    "TargetContract",
    "TokenRegisterContract",
    "ToolPinRegisterContract",
    "WitnessRegisterContract",
]
