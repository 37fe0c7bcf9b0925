"""Whose code an unexpected failure comes from: the program's own, or a plugin's."""

from __future__ import annotations

import contextlib
import os
import traceback

from codex_ml.config.interfaces import named_interfaces
from codex_ml.errors import CodexError
from codex_ml.registry.plugins import everything

OWN = "codex-ml itself"


def whose(error: BaseException) -> str:
    """`OWN`, or the plugin whose package the innermost frame of the two lies in."""
    owners = {_package(one.target): f"the plugin {one.distribution} {one.version}" for one in everything()}
    with contextlib.suppress(CodexError):  # what is written wrongly there has been told already
        owners |= {
            _package(one.target): f"the component {one.target}" for one in named_interfaces(os.environ)
        }
    owners["codex_ml"] = OWN
    frames = traceback.walk_tb(error.__traceback__)
    packages = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame, _line in frames]
    return next((owners[package] for package in reversed(packages) if package in owners), OWN)


def _package(target: str) -> str:
    return target.partition(":")[0].partition(".")[0]
