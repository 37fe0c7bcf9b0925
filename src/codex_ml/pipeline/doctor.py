"""Look at this installation and machine: what is there, what is missing, what is broken."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

from codex_ml.config.schema import RunConfig
from codex_ml.core.offline import network_denied
from codex_ml.core.optional import require
from codex_ml.core.paths import Home
from codex_ml.errors import CodexError, MissingExtraError
from codex_ml.provenance.environment import cpu_name, usable_cores
from codex_ml.registry import registry_for
from codex_ml.tracking.opening import absent_trackers

State = Literal["ok", "absent", "broken"]
#: Extras a pipeline run cannot do without.
NEEDED_EXTRAS = ("train", "report")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+).*?;.*extra\s*==\s*['\"]([\w-]+)['\"]")
#: Distribution -> module, where the names differ by more than a hyphen.
_MODULES = {"pytest-xdist": "xdist"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. *needed* says whether the config cannot run without it."""

    topic: str
    name: str
    state: State
    detail: str
    needed: bool

    @property
    def harmful(self) -> bool:
        return self.needed and self.state != "ok"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(config: RunConfig, *, home: Home) -> list[Finding]:
    """Every finding, in the order of a reader's interest. Changes nothing but a probe file."""
    return [
        *_interpreter(),
        *_packages(),
        *_components(config),
        *_machine(config),
        *_workspace(home),
        *_network(),
    ]


def _interpreter() -> Iterator[Finding]:
    version = sys.version.split()[0]
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("python", version, "ok" if supported else "broken", sys.executable, True)


def _packages() -> Iterator[Finding]:
    """Each package once, under the extra that training needs it for when there is one."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("codex-ml") or []:
        match = _REQUIREMENT.match(line)
        if match is not None and match[1] != "codex-ml" and not match[1].startswith("types-"):
            extras.setdefault(match[1], []).append(match[2])
    for name in sorted(extras):
        extra = next((extra for extra in NEEDED_EXTRAS if extra in extras[name]), extras[name][0])
        yield _package(name, extra)


def _package(name: str, extra: str) -> Finding:
    needed = extra in NEEDED_EXTRAS
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("packages", name, "absent", f'pip install "codex-ml[{extra}]"', needed)
    if not needed:
        return Finding("packages", name, "ok", f"{version} ({extra})", needed)
    try:
        require(_MODULES.get(name, name.replace("-", "_")), extra=extra)
    except MissingExtraError as error:
        return Finding("packages", name, "broken", error.got or error.what, needed)
    return Finding("packages", name, "ok", f"{version} ({extra})", needed)


def _components(config: RunConfig) -> Iterator[Finding]:
    wanted = [
        ("models", config.model.name),
        ("tokenizers", config.tokenizer.name),
        ("data_sources", config.data.source),
        ("objectives", config.objective.name),
        *(("eval_tasks", name) for name in config.eval.tasks),
    ]
    for kind, name in wanted:
        try:
            registry_for(kind).get(name)
        except CodexError as error:
            yield Finding("components", f"{kind}/{name}", "broken", error.line(), True)
        else:
            yield Finding("components", f"{kind}/{name}", "ok", "loads", True)
    missing = absent_trackers(config.tracking)
    for name in dict.fromkeys(config.tracking.sinks):
        state: State = "absent" if name in missing else "ok"
        yield Finding("components", f"trackers/{name}", state, missing.get(name, "loads"), False)


def _machine(config: RunConfig) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    yield Finding("machine", "cpu", "ok", f"{cpu_name()}, {usable_cores()} cores", False)
    free, total = memory.available / 1e9, memory.total / 1e9
    yield Finding("machine", "memory", "ok", f"{free:.1f} GB free of {total:.1f}", False)
    yield _compiler(config)
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        yield Finding("machine", "torch", "broken", str(error), True)
        return
    from codex_ml.modeling.device import cpu_has_bf16

    yield Finding("machine", "bfloat16", "ok" if cpu_has_bf16() else "absent", "native on this CPU", False)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wants_gpu = config.runtime.device.startswith("cuda")
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count)) or "no CUDA device"
    yield Finding("machine", "gpu", "ok" if count else "absent", names, wants_gpu)


def _compiler(config: RunConfig) -> Finding:
    needed = config.runtime.compile is True
    path = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if path is None:
        return Finding(
            "machine", "c++", "absent", "training runs uncompiled; Debian: apt install g++", needed
        )
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    line = (done.stdout or done.stderr).splitlines()[:1]
    return Finding("machine", "c++", "ok" if done.returncode == 0 else "broken", "".join(line), needed)


def _workspace(home: Home) -> Iterator[Finding]:
    for path in (home.runs, home.store):
        yield _writable(path)
    existing = _nearest_existing(home.root)
    free = shutil.disk_usage(existing).free
    yield Finding("workspace", "disk", "ok", f"{free / 1e9:.1f} GB free at {existing}", False)


def _writable(path: Path) -> Finding:
    existing = _nearest_existing(path)
    try:  # the permission bits say little: not for root, nor on a read-only file system
        with tempfile.TemporaryFile(dir=existing):
            good = True
    except OSError:
        good = False
    detail = str(path) if good else f"no permission to write {existing}; set CODEX_HOME to another directory"
    return Finding("workspace", path.name, "ok" if good else "broken", detail, True)


def _nearest_existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _network() -> Iterator[Finding]:
    denied = network_denied()
    yield Finding(
        "offline",
        "python sockets",
        "ok" if denied else "absent",
        "refused beyond loopback (sockets opened in C++ are not seen)"
        if denied
        else "allowed: --allow-network",
        False,
    )
