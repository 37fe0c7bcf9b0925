"""Distributions, conda packages and lock files as they are found, broken ones included."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.digest import digest_bytes
from codex_ml.provenance.packages import conda_environment, distributions, lock_digests, plugin_facts
from codex_ml.registry import registry_for
from codex_ml.registry.plugins import BY_PATH, Plugin


@pytest.fixture
def install(tmp_path: Path, monkeypatch):
    """Put a distribution on the path: ``install("name", direct_url=…, record=…)``."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(
        name: str, *, direct_url: Any = None, record: str | None = "a.py,sha256=AA,1\n", version: str = "1.0"
    ) -> None:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "INSTALLER").write_text("pip\n")
        if record is not None:
            (folder / "RECORD").write_text(record)
        if direct_url is not None:
            text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
            (folder / "direct_url.json").write_text(text)

    return put


def test_a_package_from_an_index_has_version_installer_and_digest(install) -> None:
    install("plain")
    assert distributions()["plain"] == {
        "version": "1.0",
        "installer": "pip",
        "origin": "index",
        "record_sha256": digest_bytes(b"a.py,sha256=AA,1"),
    }


@pytest.mark.parametrize(
    ("direct", "origin"),
    [
        (
            {"url": "https://{}@git.example/x.git", "vcs_info": {"vcs": "git", "commit_id": "c" * 40}},
            f"https://git.example/x.git@{'c' * 40}",
        ),
        ({"url": "file:///src/x", "dir_info": {"editable": True}}, "file:///src/x (editable)"),
        (
            {"url": "https://host.example/x.whl?token=hunter2hunter2", "archive_info": {}},
            "https://host.example/x.whl?token=[redacted:token]",
        ),
        ("no json", "unreadable direct_url.json"),
        ("[]", "unreadable direct_url.json"),
    ],
)
def test_another_origin_is_named_without_secrets(install, direct: Any, origin: str) -> None:
    if isinstance(direct, dict):
        direct = direct | {"url": direct["url"].replace("{}", "u:hunter2")}
    install("direct", direct_url=direct)
    assert distributions()["direct"]["origin"] == origin


def test_the_digest_is_that_of_the_contents_wherever_they_are_installed(install) -> None:
    install("one", record="b.py,sha256=BB,2\na.py,sha256=AA,1\none-1.0.dist-info/RECORD,,\n")
    install(
        "two",
        record="../../../bin/two,sha256=XX,9\na.py,sha256=AA,1\nb.py,sha256=BB,2\n__pycache__/a.pyc,,\n"
        "two-1.0.dist-info/INSTALLER,sha256=YY,4\ntwo-1.0.dist-info/direct_url.json,sha256=ZZ,5\n",
    )
    install("three", record="a.py,sha256=AA,1\nb.py,sha256=BC,2\n")
    install("four", record=None)
    found = distributions()
    assert found["one"]["record_sha256"] == found["two"]["record_sha256"] != found["three"]["record_sha256"]
    assert found["four"]["record_sha256"] is None


def test_packages_that_sound_like_secrets_keep_their_versions(install) -> None:
    for name in ("PyJWT", "secret", "password", "api-key"):
        install(name)
    found = distributions()
    assert {found[name]["version"] for name in ("PyJWT", "secret", "password", "api-key")} == {"1.0"}
    from codex_ml.provenance.environment import capture_env

    assert capture_env()["packages"]["password"]["version"] == "1.0"


def test_the_rest_of_an_interrupted_uninstallation_does_no_harm(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "~umpy-2.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert "numpy" in distributions()


def test_the_package_that_is_imported_is_the_one_that_is_named(tmp_path: Path, monkeypatch) -> None:
    for folder, version in (("late", "1.0"), ("early", "2.0")):
        path = tmp_path / folder / f"twice-{version}.dist-info"
        path.mkdir(parents=True)
        (path / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
        monkeypatch.syspath_prepend(tmp_path / folder)
    assert sys.path[0].endswith("early")
    assert distributions()["twice"]["version"] == "2.0"


def test_lock_files_are_digested_by_name(tmp_path: Path) -> None:
    for name in (
        "uv.lock",
        "requirements.lock",
        "conda-lock.yml",
        "requirements-dev.txt",
        "notes.txt",
        "x.py",
    ):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.lock").mkdir()
    (tmp_path / "gone.lock").symlink_to("nowhere")
    assert lock_digests(tmp_path) == {
        name: digest_bytes(name.encode())
        for name in ("conda-lock.yml", "requirements-dev.txt", "requirements.lock", "uv.lock")
    }
    assert lock_digests(tmp_path / "absent") == {}


# ---- conda ---------------------------------------------------------------------------------------


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    path = tmp_path / "envs" / "training"
    (path / "conda-meta").mkdir(parents=True)
    (path / "conda-meta" / "history").write_text("")
    return path


def test_a_conda_environment_is_listed_with_builds_and_channels(prefix: Path, monkeypatch) -> None:
    row = {"name": "numpy", "version": "2.3.5", "build": "py311h0", "sha256": "a" * 64}
    channel = "https://{}@conda.example/t/ab-1234-cd/private/linux-64".format("u:hunter2")
    (prefix / "conda-meta" / "numpy.json").write_text(json.dumps({**row, "channel": channel}))
    (prefix / "conda-meta" / "broken-1.json").write_text("{")
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    found = conda_environment()
    assert found is not None
    assert found["name"] == "training"
    assert found["packages"]["numpy"] == {
        **{name: value for name, value in row.items() if name != "name"},
        "channel": "https://conda.example/t/[redacted:conda-token]/private/linux-64",
    }
    assert found["packages"]["broken-1"]["version"] == "unreadable"
    assert found == conda_environment(prefix)


def test_outside_of_conda_there_is_no_such_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    assert conda_environment() is None or os.path.isdir(f"{sys.prefix}/conda-meta")  # noqa: PTH112
    assert conda_environment(tmp_path) is None


# ---- plugins -------------------------------------------------------------------------------------


def facts_of(
    distribution: str, target: str = "facts_of_mine.part:Part", version: str = "1.0"
) -> dict[str, str]:
    (facts,) = plugin_facts([Plugin("trackers", "mine", target, distribution, version)])
    return facts


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Sources of a plugin, on the path where `install` puts its metadata."""
    folder = tmp_path / "facts_of_mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('this is not to be run')\n")
    (folder / "part.py").write_text("class Part: ...\n")
    return folder


@pytest.mark.usefixtures("package")
def test_a_plugin_from_a_wheel_is_known_by_what_the_wheel_holds(install) -> None:
    install("mine", record="facts_of_mine/part.py,sha256=AA,1\n")
    facts = facts_of("mine")
    assert facts == {
        "kind": "trackers",
        "name": "mine",
        "target": "facts_of_mine.part:Part",
        "distribution": "mine",
        "version": "1.0",
        "sha256": digest_bytes(b"facts_of_mine/part.py,sha256=AA,1"),
    }
    install("mine", record="facts_of_mine/part.py,sha256=AB,1\n")
    assert facts_of("mine")["sha256"] != facts["sha256"]


@pytest.mark.parametrize(
    ("direct", "record"),
    [
        ({"url": "file:///src", "dir_info": {"editable": True}}, "__editable__.pth,sha256=AA,1\n"),
        (None, None),
    ],
    ids=["editable", "without hashes"],
)
def test_an_editable_plugin_is_known_by_its_sources(
    direct: Any, record: str | None, install, package: Path
) -> None:
    install("mine", direct_url=direct, record=record)
    before = facts_of("mine")["sha256"]
    assert facts_of("mine")["sha256"] == before
    (package / "helper.py").write_text("# another byte\n")
    assert facts_of("mine")["sha256"] not in (before, "unknown")


@pytest.mark.parametrize("form", ["package", "module"])
def test_a_component_by_path_is_known_by_its_sources_and_arguments(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = package / "part.py"
    if form == "module":
        source = tmp_path / "alone.py"
        source.write_text("class Part: ...\n")
    target = "facts_of_mine.part:Part" if form == "package" else "alone:Part"
    seen = [facts_of(BY_PATH, target)["sha256"]]
    source.write_text("class Part: pass\n")
    seen.append(facts_of(BY_PATH, target)["sha256"])
    for kwargs in ({"size": 1}, {"size": 2}):
        registry_for.cache_clear()
        registry_for("trackers").register("mine", target, kwargs=kwargs)
        seen.append(facts_of(BY_PATH, target)["sha256"])
    registry_for.cache_clear()
    assert len({*seen, "unknown"}) == 5


def test_a_secret_among_the_arguments_is_not_in_the_digest(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "alone2.py").write_text("class Part: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = set()
    for password in ("Hunter2Hunter2", "Hunter3Hunter3"):
        registry_for.cache_clear()
        registry_for("trackers").register("mine", "alone2:Part", kwargs={"password": password})
        seen.add(facts_of(BY_PATH, "alone2:Part")["sha256"])
    registry_for.cache_clear()
    assert len(seen) == 1


@pytest.mark.parametrize("target", ["builtins:round", "absent_everywhere:x"])
def test_what_has_no_source_is_said_to_be_unknown(target: str) -> None:
    assert facts_of(BY_PATH, target)["sha256"] == "unknown"
