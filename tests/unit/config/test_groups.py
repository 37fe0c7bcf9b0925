"""Config groups of installed packages: options beside the shipped ones, never instead of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codex_ml.config.compose import compose
from codex_ml.config.groups import configs_directory, find_config, group_options, plugin_directories
from codex_ml.errors import ConfigError, ConflictError
from codex_ml.registry import plugins


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A distribution with config groups: ``install("name", {"train/mine.yaml": "lr: 1"})``."""

    def put(name: str, files: dict[str, str], *, package: bool = True) -> Path:
        root = tmp_path / name
        info = root / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[codex_ml.config_groups]\n{name} = {name}\n")
        for path, text in files.items():
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            (root / name / path).write_text(text)
        if package:
            (root / name).mkdir(exist_ok=True)
            (root / name / "__init__.py").write_text("raise RuntimeError('this is not to be run')\n")
        monkeypatch.syspath_prepend(root)
        plugins.forget()
        return root / name

    yield put
    plugins.forget()


PATIENT = "defaults:\n  - adamw\n  - _self_\n\nlr: 0.0001\n"


def test_an_option_of_a_package_is_one_of_the_program_and_its_code_is_not_run(install) -> None:
    folder = install(
        "groups_one", {"train/patient.yaml": PATIENT, "experiment/long.yaml": "# @package _global_\n"}
    )
    assert plugin_directories() == [folder]
    assert "patient" in group_options()["train"]
    assert find_config("train/patient", None) == folder / "train" / "patient.yaml"
    assert find_config("train/adamw", None) == configs_directory() / "train" / "adamw.yaml"
    composed = compose(["train=patient"], environ={})
    assert composed.config.train.lr == 1e-4
    assert "patient.yaml" in str(composed.origins["train.lr"])
    assert compose(["train=patient", "train.lr=2e-4"], environ={}).config.train.lr == 2e-4


def test_an_unknown_key_of_its_option_is_told_with_its_file(install) -> None:
    install("groups_typo", {"train/patient.yaml": PATIENT + "stepz: 3\n"})
    with pytest.raises(ConfigError, match="stepz") as caught:
        compose(["train=patient"], environ={})
    assert "patient.yaml" in str(caught.value)


@pytest.mark.parametrize("taken", ["shipped", "other"])
def test_an_option_that_exists_is_refused_by_both_files(taken: str, install) -> None:
    option = "train/adamw.yaml" if taken == "shipped" else "train/patient.yaml"
    folders = [install(name, {option: PATIENT}) for name in ("groups_a", "groups_b")]
    first = configs_directory() if taken == "shipped" else folders[0]
    with pytest.raises(ConflictError) as caught:
        compose([], environ={})
    assert caught.value.code == "registry.conflict"
    assert str(first / option) in str(caught.value)
    assert str(folders[taken == "other"] / option) in str(caught.value)


def test_a_package_that_is_not_there_is_a_warning_and_the_others_work(
    install, caplog: pytest.LogCaptureFixture
) -> None:
    install("groups_gone", {}, package=False)
    install("groups_good", {"train/patient.yaml": PATIENT})
    with caplog.at_level(logging.WARNING):
        assert compose(["train=patient"], environ={}).config.train.lr == 1e-4
    assert "groups_gone of groups_gone 1.0" in caplog.text


def test_the_environment_leaves_them_out(install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("groups_out", {"train/adamw.yaml": PATIENT})
    monkeypatch.setenv(plugins.VARIABLE, "none")
    assert plugin_directories() == []
    assert compose(["train=adamw"], environ={}).config.train.lr != 1e-4
