"""What is imported is declared, what is declared is locked, and a changed byte is refused."""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sources import ROOT, files, imports, owner

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-demo.lock", "requirements-build.lock")
# torch has its own line in the Makefile, because its builds differ by machine.
OWN_LINE = {"torch"}
CORE_ONLY = {"core", "config", "registry", "cli", "errors", "interfaces", "__init__", "__main__"}


def locked(name: str) -> list[Requirement]:
    """The pinned requirements of a lock, with their markers; a fork by Python version gives two."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [line.split("--hash")[0] for line in text.splitlines() if line and not line.startswith("#")]
    return [Requirement(row.strip()) for row in rows]


def declared(*extras: str) -> dict[str, Requirement]:
    """Core dependencies and those of *extras*, by canonical name; nested extras are followed."""
    texts = [*PROJECT["project"]["dependencies"]]
    for extra in extras:
        texts += PROJECT["project"]["optional-dependencies"][extra]
    found: dict[str, Requirement] = {}
    for one in map(Requirement, texts):
        if one.name == PROJECT["project"]["name"]:
            found.update(declared(*one.extras))
        else:
            found[canonicalize_name(one.name)] = one
    return found


def drift(wanted: dict[str, Requirement], lock: list[Requirement]) -> Iterator[str]:
    """One line per requirement that no pin of *lock* meets."""
    pins: dict[str, list[Requirement]] = {}
    for pin in lock:
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for name, requirement in wanted.items():
        if name in OWN_LINE:
            continue
        versions = [next(iter(pin.specifier)).version for pin in pins.get(name, [])]
        if not versions:
            yield f"{requirement} is not locked; run: make lock"
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{requirement} is locked at {version}; run: make lock"


@pytest.mark.parametrize(("lock", "extras"), [(LOCKS[0], ("dev",)), (LOCKS[1], ("train", "report"))])
def test_every_declared_requirement_is_met_by_the_lock(lock: str, extras: tuple[str, ...]) -> None:
    assert list(drift(declared(*extras), locked(lock))) == []


def test_the_build_backends_are_locked() -> None:
    wanted = map(Requirement, PROJECT["dependency-groups"]["build"] + PROJECT["build-system"]["requires"])
    assert list(drift({canonicalize_name(one.name): one for one in wanted}, locked(LOCKS[2]))) == []


def test_drift_is_seen_when_a_floor_rises_above_the_lock_or_a_package_is_new() -> None:
    wanted = {
        name: Requirement(text) for name, text in {"click": "click>=99", "newcomer": "newcomer"}.items()
    }
    assert len(list(drift(wanted, locked(LOCKS[0])))) == 2


def test_the_locks_agree_with_each_other() -> None:
    # The full lock may need for every platform what a smaller one needs for some.
    full = {(canonicalize_name(pin.name), str(pin.specifier)) for pin in locked(LOCKS[0])}
    for name in LOCKS[1:]:
        assert {(canonicalize_name(pin.name), str(pin.specifier)) for pin in locked(name)} - full == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_torch_no_cuda_and_no_place(lock: str) -> None:
    names = {canonicalize_name(pin.name) for pin in locked(lock)}
    assert not {name for name in names if re.match(r"torch$|triton|nvidia-(?!ml-py$)|cuda-", name)}
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(
        r"://|--index-url|--extra-index-url|--find-links|file:| @ |(^|\s)/", text, re.MULTILINE
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_carries_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [row for row in rows if "==" not in row or "--hash=sha256:" not in row] == []


def test_the_makefile_installs_a_torch_that_the_train_extra_allows() -> None:
    spec = re.search(r"^TORCH_SPEC \?= (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert spec is not None
    pin = next(iter(Requirement(spec.group(1)).specifier))
    assert declared("train")["torch"].specifier.contains(pin.version)


@pytest.mark.needs("train")
def test_the_locks_hold_what_the_installed_torch_needs() -> None:
    table = next(row for row in PROJECT["tool"]["uv"]["dependency-metadata"] if row["name"] == "torch")
    written = {canonicalize_name(Requirement(text).name) for text in table["requires-dist"]}
    real = {
        canonicalize_name(one.name)
        for one in map(Requirement, metadata.requires("torch") or [])
        if one.marker is None or "extra" not in str(one.marker)
    }
    own = {name for name in real if re.match(r"triton|nvidia-|cuda-", name)}
    assert real - own - written == set()


def undeclared(module: str, source: str, providers: dict[str, set[str]], light: set[str]) -> bool:
    top = module.split(".")[0]
    if top in sys.stdlib_module_names or top in ("codex_ml", "__future__"):
        return False
    extras = PROJECT["project"]["optional-dependencies"]
    known = light if source in CORE_ONLY else set(declared(*(name for name in extras if name != "dev")))
    return not providers.get(top, {canonicalize_name(top)}) & known


def _providers() -> dict[str, set[str]]:
    return {
        name: {canonicalize_name(one) for one in found}
        for name, found in metadata.packages_distributions().items()
    }


def test_every_imported_package_is_declared_where_it_is_used() -> None:
    providers, light = _providers(), set(declared())
    wrong = [
        f"{one.where}: no extra lists {one.module}"
        for path in files()
        for one in imports(path)
        # A light package may import a heavy one inside a function, by the door that names the extra.
        if undeclared(one.module, owner(path) if one.when == "import" else "", providers, light)
    ]
    assert wrong == []


def test_an_import_that_no_extra_lists_is_seen() -> None:
    providers, light = _providers(), set(declared())
    assert undeclared("no_such_package.part", "training", providers, light)
    assert undeclared("requests", "training", providers, light)  # installed, and declared by others only
    assert undeclared("torch", "config", providers, light)  # declared, but not for the core
    assert not undeclared("torch.nn", "training", providers, light)


def make_wheel(folder: Path) -> Path:
    """The smallest wheel there is, named `pinned`."""
    path = folder / "pinned-1.0-py3-none-any.whl"
    info = "pinned-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pinned.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pinned\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"pinned.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def test_one_flipped_hash_is_refused_by_the_installer(run: Callable[..., Any], tmp_path: Path) -> None:
    right = sha256(make_wheel(tmp_path).read_bytes()).hexdigest()
    flipped = ("0" if right[0] != "0" else "1") + right[1:]
    lock = tmp_path / "one.lock"

    def install(digest: str, target: str) -> Any:
        lock.write_text(f"pinned==1.0 --hash=sha256:{digest}\n")
        options = ("--no-index", "--find-links", tmp_path, "--require-hashes", "--target", tmp_path / target)
        return run(sys.executable, "-m", "uv", "pip", "install", "--no-cache", *options, "-r", lock)

    good, bad = install(right, "good"), install(flipped, "bad")
    assert good.code == 0, good.err
    assert bad.code != 0
    assert "hash" in bad.err.lower()
    assert not (tmp_path / "bad" / "pinned.py").exists()
