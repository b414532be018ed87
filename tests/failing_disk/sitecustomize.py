"""Python imports this first in a server whose `PYTHONPATH` leads here: its disk takes nothing while a file is there.

Every call that would change something fails as on a file system that became read-only, in Python and in SQLite; what is
read is read.
"""

import errno
import os
import sqlite3

CHANGING = (
    "fdatasync", "fsync", "ftruncate", "link", "mkdir", "posix_fallocate", "pwrite", "remove", "rename", "replace",
    "rmdir", "symlink", "unlink", "utime",
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def fail_while(place):
    def require_writable():
        if os.path.exists(place):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def failing(real):
        def call(*arguments, **named):
            require_writable()
            return real(*arguments, **named)

        return call

    for name in CHANGING:
        setattr(os, name, failing(getattr(os, name)))
    real_open = os.open

    def opened(path, flags, *arguments, **named):
        if flags & WRITES and not str(path).startswith("/dev/"):
            require_writable()
        return real_open(path, flags, *arguments, **named)

    os.open = opened

    class Connection(sqlite3.Connection):
        refuses = False

        def execute(self, *arguments):
            refuses = os.path.exists(place)
            if refuses != self.refuses:
                self.refuses = refuses
                super().execute(f"PRAGMA query_only = {'ON' if refuses else 'OFF'}")
            return super().execute(*arguments)

    real_connect = sqlite3.connect

    def connect(*arguments, **named):
        return real_connect(*arguments, **{"factory": Connection, **named})

    sqlite3.connect = connect


if "FAILING_DISK" in os.environ:
    fail_while(os.environ["FAILING_DISK"])
