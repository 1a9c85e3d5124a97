"""How do engines run outside the main process, in Python or R, so that a crash costs one fit?

The main process imports neither rpy2 nor any estimator. ``docs/protocol.md`` describes the messages.
"""

from __future__ import annotations

from crosscheck.bridge.discovery import (
    BridgeStatus,
    RInstallation,
    bridge_status,
    choose_bridge,
    find_r,
    live_kind,
    r_packages,
    r_scripts_dir,
    rpy2_pin,
)
from crosscheck.bridge.worker import FitItem, Worker

__all__ = [
    "BridgeStatus",
    "FitItem",
    "RInstallation",
    "Worker",
    "bridge_status",
    "choose_bridge",
    "find_r",
    "live_kind",
    "r_packages",
    "r_scripts_dir",
    "rpy2_pin",
]
