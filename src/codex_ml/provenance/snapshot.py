"""An environment on its own, outside any run: one JSON file, and the seven files of the report's recipe."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import read_json
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.provenance.code import capture_code
from codex_ml.provenance.environment import capture_env, environment_digest
from codex_ml.provenance.facts import latest_provenance
from codex_ml.provenance.pseudonyms import Pseudonyms
from codex_ml.provenance.run_directory import find_run

FORMAT = 1
KIND = "env_snapshot"
_MAKE_ONE = "name a run, or make a file with: codex-ml env snapshot --out FILE"


def take_snapshot(home: Home, *, names: Pseudonyms, load_torch: bool) -> dict[str, Any]:
    """Environment and code of this moment, as `capture_env` and `capture_code` see them."""
    environment = capture_env(home.runs, names=names, load_torch=load_torch)
    code = capture_code(Path.cwd(), leave_out=(home.runs, home.store.parent), names=names)
    return {
        "kind": KIND,
        "format": FORMAT,
        "taken": time.time(),
        "environment": environment,
        "environment_sha256": environment_digest(environment),
        "code": {**code.facts, "diff": _without_file(code.facts["diff"])},
    }


def _without_file(diff: dict[str, Any] | None) -> dict[str, Any] | None:
    """The facts of a difference; a snapshot keeps no copy of it as a run does."""
    return None if diff is None else {key: value for key, value in diff.items() if key != "file"}


#: What tells one state of the code from another.
_CODE = ("commit", "tags", "dirty", "source_sha256")


def read_environment(text: str, *, home: Home) -> dict[str, Any]:
    """The environment of a snapshot file, or of the last start of a run.

    Raises UsageError when *text* names neither, or is of another format, IntegrityError for a file that is
    no JSON.
    """
    return dict(_read(text, home)["environment"])


def read_code(text: str, *, home: Home) -> dict[str, Any]:
    """Commit, tags, whether something was changed, and the digest of the source; as `read_environment`."""
    code = _read(text, home).get("code") or {}
    found = {name: code.get(name) for name in _CODE}
    return {**found, "diff_sha256": (code.get("diff") or {}).get("sha256")}


def _read(text: str, home: Home) -> dict[str, Any]:
    path = Path(text).expanduser()
    if not path.is_file():
        return dict(latest_provenance(find_run(home.runs, text).read()))
    try:
        content = read_json(path)
    except IntegrityError as error:
        raise IntegrityError(error.what, code=error.code, got=error.got, next_step=_MAKE_ONE) from error
    if isinstance(content, dict) and isinstance(content.get("provenance"), dict):
        content = {"format": FORMAT, **latest_provenance(content)}  # the record of a run
    whole = isinstance(content, dict) and isinstance(content.get("environment"), dict)
    if not whole or content.get("format") != FORMAT:
        raise UsageError(
            f"{path} holds no environment that this version reads",
            code="env.snapshot",
            got=f"format {content.get('format')}" if whole else "a JSON file without 'environment'",
            wanted=f"a file of `codex-ml env snapshot` (format {FORMAT}), or the name of a run",
            next_step=_MAKE_ONE,
        )
    return dict(content)


def recipe_files(snapshot: Mapping[str, Any], *, names: Pseudonyms) -> dict[str, str]:
    """File name -> text of the report's recipe, from the same facts; no variable that is not allowed."""
    environment = snapshot["environment"]
    variables = environment["variables"]
    lines = [f"{name}={value}" for name, value in variables["recorded"].items()]
    return {
        "env_snapshot.json": json.dumps(snapshot, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        "python_version.txt": f"Python {environment['python']['version']}\n",
        "pip_freeze.txt": "".join(f"{line}\n" for line in _frozen(environment["packages"])),
        "uname.txt": f"{_uname(names)}\n",
        "cpu.txt": _cpu(environment["cpu"]),
        "env_vars.txt": "\n".join([*lines, f"# {variables['others']} other variables are not recorded"])
        + "\n",
        "gpu.csv": "".join(f"{line}\n" for line in _gpus(environment["accelerators"])),
    }


def _frozen(packages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, row in packages.items():
        if row["origin"] == "index":
            yield f"{name}=={row['version']}"
        else:
            yield f"{name} @ {row['origin']}  # {row['version']}"


def _uname(names: Pseudonyms) -> str:
    found = platform.uname()
    return f"{found.system} {names.host} {found.release} {found.version} {found.machine}"


def _cpu(facts: Mapping[str, Any]) -> str:
    """What lscpu says; without it, the same facts as the snapshot."""
    program = shutil.which("lscpu")
    if program is not None:
        try:
            done = subprocess.run([program], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is not None and done.returncode == 0:
            return done.stdout
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _gpus(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "name, driver_version, cuda_version, memory.total [MiB]"
    for gpu in facts["gpus"]:
        memory = gpu["memory_bytes"] >> 20 if gpu["memory_bytes"] else "[N/A]"
        yield f"{gpu['name']}, {facts['driver']}, {facts['cuda_driver'] or '[N/A]'}, {memory}"
