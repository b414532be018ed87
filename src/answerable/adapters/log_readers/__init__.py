"""Read logs of targets in their own forms, line by line, each bounded."""

from __future__ import annotations

from answerable.adapters.log_readers.bounded_lines import BoundedLine, bounded_lines
from answerable.adapters.log_readers.cloudtrail import CloudtrailLog
from answerable.adapters.log_readers.followed_bucket import FollowedBucket, names_of
from answerable.adapters.log_readers.followed_file import FollowedLogFile
from answerable.adapters.log_readers.followed_journal import FollowedJournal
from answerable.adapters.log_readers.journalctl import Journal, journal_of
from answerable.adapters.log_readers.journald import JournaldLog
from answerable.adapters.log_readers.json_objects import JsonObject, json_objects
from answerable.adapters.log_readers.log_times import LogTimes, offset_of
from answerable.adapters.log_readers.mariadb import MariadbLog
from answerable.adapters.log_readers.nats import NatsLog
from answerable.adapters.log_readers.nginx import NginxLog
from answerable.adapters.log_readers.ocsf import OcsfLog
from answerable.adapters.log_readers.part_reader import LineReader, LogParts, ObjectReader
from answerable.adapters.log_readers.postgres import PostgresLog
from answerable.adapters.log_readers.postgres_prefix import LinePrefix
from answerable.adapters.log_readers.rabbitmq import RabbitmqLog
from answerable.adapters.log_readers.redis import RedisLog
from answerable.adapters.log_readers.sshd import SshdLog

__all__ = [
    "BoundedLine",
    "CloudtrailLog",
    "FollowedBucket",
    "FollowedJournal",
    "FollowedLogFile",
    "Journal",
    "JournaldLog",
    "JsonObject",
    "LinePrefix",
    "LineReader",
    "LogParts",
    "LogTimes",
    "MariadbLog",
    "NatsLog",
    "NginxLog",
    "ObjectReader",
    "OcsfLog",
    "PostgresLog",
    "RabbitmqLog",
    "RedisLog",
    "SshdLog",
    "bounded_lines",
    "journal_of",
    "json_objects",
    "names_of",
    "offset_of",
]
