"""Registers and registry in one SQLite file."""

from __future__ import annotations

from answerable.adapters.sqlite.approvals import SqliteApprovalRegister
from answerable.adapters.sqlite.mandates import SqliteMandateRegister
from answerable.adapters.sqlite.registry import SqliteRegistryStore
from answerable.adapters.sqlite.store import SqliteStore
from answerable.adapters.sqlite.subject_keys import SqliteSubjectKeys

__all__ = [
    "SqliteApprovalRegister",
    "SqliteMandateRegister",
    "SqliteRegistryStore",
    "SqliteStore",
    "SqliteSubjectKeys",
]
