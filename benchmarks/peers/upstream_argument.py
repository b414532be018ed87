"""The upstream that a peer is told to stand in front of: a URL, or `stdio` for a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

ECHO = [sys.executable, str(Path(__file__).with_name("echo_upstream.py")), "stdio"]
