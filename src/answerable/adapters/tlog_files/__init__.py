"""Store the ledger as files: segments of framed entries, signed checkpoints, one directory per log."""

from answerable.adapters.tlog_files.beside import StoredFiles
from answerable.adapters.tlog_files.following import FollowedFiles
from answerable.adapters.tlog_files.ledger import TlogFilesLedger
from answerable.adapters.tlog_files.published import PublishedFiles
from answerable.adapters.tlog_files.sealing import SecondKey
from answerable.adapters.tlog_files.settings import TlogFilesSettings

__all__ = [
    "FollowedFiles",
    "PublishedFiles",
    "SecondKey",
    "StoredFiles",
    "TlogFilesLedger",
    "TlogFilesSettings",
]
