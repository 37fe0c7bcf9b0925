"""Importing codex_ml does nothing: no output, network, environment, random state, or heavy package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sources import files, module_name

HEAVY = ("torch", "transformers", "hydra", "omegaconf", "tokenizers", "datasets", "pyarrow", "matplotlib")
LIGHT_PACKAGES = ("core", "config", "registry", "cli", "errors", "interfaces")
LIGHT_FOR_HELP = ("torch", "transformers", "hydra", "omegaconf", "numpy", "pydantic")

# Runs in a fresh interpreter. Third-party packages are loaded first, so that what they do at their own
# import (torch and its threads, for instance) is not laid at our door.
PROBE = """
import importlib, io, json, os, random, sys
modules, preload = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for name in preload:
    importlib.import_module(name)
touched = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind", "subprocess.Popen"):
        touched.append(event)
sys.addaudithook(hook)
def state():
    parts = {"random": repr(random.getstate()), "environ": dict(os.environ), "cwd": os.getcwd()}
    if "numpy" in sys.modules:
        parts["numpy"] = repr(sys.modules["numpy"].random.get_state())
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        parts["torch"] = torch.random.get_rng_state().tolist()
        parts["dtype"] = str(torch.get_default_dtype())
        parts["threads"] = torch.get_num_threads()
        parts["deterministic"] = torch.are_deterministic_algorithms_enabled()
    return parts
before, real, errors = state(), (sys.stdout, sys.stderr), {}
sys.stdout = sys.stderr = captured = io.StringIO()
for name in modules:
    try:
        importlib.import_module(name)
    except BaseException as error:
        errors[name] = f"{type(error).__name__}: {error}"
sys.stdout, sys.stderr = real
after = state()
print(json.dumps({
    "output": captured.getvalue(), "touched": touched, "errors": errors,
    "changed": [key for key in before if before[key] != after.get(key)],
    "loaded": sorted(set(name.split(".")[0] for name in sys.modules)),
}))
"""


def probe(run: Callable[..., Any], modules: list[str], preload: list[str]) -> dict[str, Any]:
    result = run(sys.executable, "-c", PROBE, json.dumps(modules), json.dumps(preload))
    assert result.code == 0, result.err[-2000:]
    return dict(result.json)


def modules() -> list[str]:
    return [name for path in files() if not (name := module_name(path)).endswith("__main__")]


@pytest.mark.needs("train")
def test_importing_every_module_outside_cli_has_no_side_effect(run: Callable[..., Any]) -> None:
    ours = [name for name in modules() if ".cli" not in name]
    seen = probe(run, ours, ["numpy", "torch"])
    assert seen["errors"] == {}
    assert seen["output"] == ""
    assert seen["touched"] == []
    assert seen["changed"] == []


def test_the_light_packages_load_no_heavy_library(run: Callable[..., Any]) -> None:
    # compose.py is the one door to Hydra and is itself imported only inside functions.
    light = [
        name
        for name in modules()
        if name == "codex_ml" or (name.split(".")[1] in LIGHT_PACKAGES and name != "codex_ml.config.compose")
    ]
    seen = probe(run, light, [])
    assert seen["errors"] == {}
    assert sorted(set(seen["loaded"]) & set(HEAVY)) == []


def test_help_loads_neither_torch_nor_hydra_nor_numpy_nor_pydantic(run: Callable[..., Any]) -> None:
    code = (
        "import json, sys\n"
        "from codex_ml.cli import main\n"
        "code = main(['--help'])\n"
        "print(json.dumps({'code': code, 'loaded': sorted({m.split('.')[0] for m in sys.modules})}))\n"
    )
    result = run(sys.executable, "-c", code, env={"COVERAGE_PROCESS_CONFIG": None})
    assert result.code == 0, f"codex_ml.cli.main(['--help']) must return 0:\n{result.err[-2000:]}"
    assert result.json["code"] == 0
    assert sorted(set(result.json["loaded"]) & set(LIGHT_FOR_HELP)) == []


def test_the_probe_sees_each_kind_of_side_effect(run: Callable[..., Any], tmp_path: Any) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import os, random, socket, sys\n"
        "print('hello')\nos.environ['PLANTED'] = '1'\nrandom.random()\n"
        "s = socket.socket(); s.settimeout(0)\n"
        "try:\n    s.connect(('127.0.0.1', 9))\nexcept OSError:\n    pass\n"
    )
    result = run(sys.executable, "-c", PROBE, '["planted"]', "[]", env={"PYTHONPATH": str(tmp_path)})
    assert result.json["output"] == "hello\n"
    assert result.json["touched"] == ["socket.connect"]
    assert sorted(result.json["changed"]) == ["environ", "random"]
