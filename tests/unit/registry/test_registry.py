from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import ConflictError, LoadError, MissingExtraError, NotFoundError, RegistryError
from codex_ml.registry import Registry, registry_for
from codex_ml.registry import registry as implementation
from codex_ml.registry.builtins import BUILTINS

KIND = "probes"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a real distribution on the path: its module and its entry points."""

    def build(name: str, points: str, *, source: str = "", kind: str = KIND) -> None:
        root = tmp_path / name
        info = root / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[codex_ml.{kind}]\n{points}\n")
        (root / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(root)
        implementation._entry_points.cache_clear()

    yield build
    implementation._entry_points.cache_clear()
    for name in [name for name in sys.modules if name.startswith("codex_plugin")]:
        del sys.modules[name]


def code_of(act: Callable[[], Any], kind: type[RegistryError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.exit_code == 2
    return caught.value.code


# ---- the table -----------------------------------------------------------------------------------


def test_naming_and_checking_import_nothing_and_using_imports_once(tmp_path, monkeypatch) -> None:
    (tmp_path / "codex_plugin_lazy.py").write_text("def make(): return 'made'\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry(KIND, {"lazy": "codex_plugin_lazy:make"}, plugins=False)
    registry.check("lazy")
    assert registry.names() == ["lazy"]
    assert "codex_plugin_lazy" not in sys.modules
    assert registry.get("lazy")() == "made"
    assert registry.get("lazy") is registry.get("lazy")
    del sys.modules["codex_plugin_lazy"]


def test_a_name_is_given_once_and_not_after_freezing() -> None:
    registry = Registry(KIND, {"json": "json:dumps"}, plugins=False)
    registry.register("loads", "json:loads")
    assert registry.get("loads")("1") == 1
    assert code_of(lambda: registry.register("loads", "json:load"), ConflictError) == "registry.conflict"
    assert registry.get("loads")("1") == 1
    registry.freeze()
    assert code_of(lambda: registry.register("new", "json:load"), ConflictError) == "registry.frozen"
    assert registry.names() == ["json", "loads"]


def test_the_built_in_table_is_not_changed_by_a_registration() -> None:
    before = dict(BUILTINS["objectives"])
    Registry("objectives", BUILTINS["objectives"], plugins=False).register("mine", "json:loads")
    assert BUILTINS["objectives"] == before


def test_an_unknown_name_comes_with_the_nearest_one() -> None:
    registry = Registry(KIND, {"json": "json:dumps", "csv": "csv:reader"}, plugins=False)
    with pytest.raises(NotFoundError) as caught:
        registry.get("jsno")
    assert caught.value.code == "registry.not-found"
    assert "did you mean 'json'?" in str(caught.value)
    with pytest.raises(NotFoundError) as caught:
        registry.get("qqqqqqq")
    assert "choose one of csv, json" in str(caught.value)
    assert code_of(lambda: registry_for("modles"), NotFoundError) == "registry.kind"


@pytest.mark.needs("train", "report")
def test_every_built_in_name_loads() -> None:
    for kind, table in BUILTINS.items():
        assert registry_for(kind) is registry_for(kind)
        for name in table:
            assert callable(registry_for(kind).get(name)), f"{kind}/{name}"


# ---- components that do not load -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import codex_absent_dependency", "codex_absent_dependency"),
        ("raise ValueError('at import')", "at import"),
        ("def broken(:", "SyntaxError"),
        ("other = 1", "no attribute 'make'"),
    ],
)
def test_a_module_that_does_not_load_shows_why(source: str, shown: str, install) -> None:
    install("codex_plugin_bad", "bad = codex_plugin_bad:make", source=source)
    with pytest.raises(LoadError) as caught:
        Registry(KIND, {}).get("bad")
    assert caught.value.code == "registry.load"
    assert shown in str(caught.value)


def test_a_missing_extra_is_told_as_that_and_not_as_a_broken_plugin(install) -> None:
    source = "from codex_ml.core.optional import require\nrequire('codex_absent', extra='tracking')\n"
    install("codex_plugin_extra", "needy = codex_plugin_extra:make", source=source)
    with pytest.raises(MissingExtraError) as caught:
        Registry(KIND, {}).get("needy")
    assert caught.value.code == "extra.missing"
    assert "codex-ml[tracking]" in str(caught.value)


def test_a_component_must_fulfil_the_contract_of_its_kind() -> None:
    def has_close(component: Any) -> bool:
        """a component with a close()"""
        return hasattr(component, "close")

    registry = Registry(KIND, {"path": "os:sep", "popen": "subprocess:Popen"}, plugins=False)
    assert code_of(lambda: registry.get("path"), LoadError) == "registry.contract"
    with pytest.raises(LoadError) as caught:
        registry.get("popen", contract=has_close)
    assert "a component with a close()" in str(caught.value)


# ---- plugins -------------------------------------------------------------------------------------


def test_an_installed_distribution_adds_names_without_being_imported(install) -> None:
    install(
        "codex_plugin_good",
        "good = codex_plugin_good:Sinks.file [some-extra]",
        source="class Sinks:\n    @staticmethod\n    def file(): return 'file'\n",
    )
    registry = Registry(KIND, {"json": "json:dumps"})
    assert registry.names() == ["good", "json"]
    assert "codex_plugin_good" not in sys.modules
    assert registry.get("good")() == "file"
    with pytest.raises(NotFoundError) as caught:
        registry.get("godo")
    assert "did you mean 'good'?" in str(caught.value)


def test_a_plugin_is_found_by_the_registry_of_its_kind_only(install) -> None:
    install("codex_plugin_kind", "other = codex_plugin_kind:make", kind="others")
    assert Registry(KIND, {}).names() == []
    assert Registry("others", {}).names() == ["other"]
    assert Registry("others", {}, plugins=False).names() == []


def test_two_plugins_with_one_name_are_refused_by_both_places(install) -> None:
    install("codex_plugin_one", "same = codex_plugin_one:make")
    install("codex_plugin_two", "same = codex_plugin_two:make")
    with pytest.raises(ConflictError) as caught:
        Registry(KIND, {}).get("same")
    assert caught.value.code == "registry.conflict"
    assert "codex_plugin_one:make" in str(caught.value) and "codex_plugin_two:make" in str(caught.value)


def test_a_built_in_name_is_what_it_was_whatever_is_installed(install) -> None:
    install("codex_plugin_evil", "json = codex_plugin_evil:make", source="def make(): return 'evil'")
    import json

    assert Registry(KIND, {"json": "json:dumps"}).get("json") is json.dumps
