"""Contract suites: what each port promises, as tests that run on any adapter."""

from __future__ import annotations

from answerable.testing.contracts.approval_register import (
    ApprovalRegisterContract,
    DurableApprovalRegisterContract,
)
from answerable.testing.contracts.ledger import DurableLedgerContract, LedgerContract
from answerable.testing.contracts.mandate_register import (
    DurableMandateRegisterContract,
    MandateRegisterContract,
)
from answerable.testing.contracts.registry_store import DurableRegistryStoreContract, RegistryStoreContract
from answerable.testing.contracts.subject_keys import DurableSubjectKeysContract, SubjectKeysContract
from answerable.testing.contracts.witness_register import WitnessRegisterContract

__all__ = [
    "ApprovalRegisterContract",
    "DurableApprovalRegisterContract",
    "DurableLedgerContract",
    "DurableMandateRegisterContract",
    "DurableRegistryStoreContract",
    "DurableSubjectKeysContract",
    "LedgerContract",
    "MandateRegisterContract",
    "RegistryStoreContract",
    "SubjectKeysContract",
    "WitnessRegisterContract",
]
