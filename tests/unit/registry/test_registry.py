from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import ConflictError, LoadError, MissingExtraError, NotFoundError, RegistryError
from codex_ml.registry import Registry, plugins, registry_for
from codex_ml.registry.builtins import BUILTINS

KIND = "metrics"


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
        plugins.forget()

    yield build
    plugins.forget()
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
            assert registry_for(kind).get(name) is not None, f"{kind}/{name}"


# ---- components that do not load -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import codex_absent_dependency", "codex_absent_dependency"),
        ("raise ValueError('at import')", "at import"),
        ("def broken(:", "SyntaxError"),
        ("other = 1", "no attribute 'make'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
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
    install("codex_plugin_kind", "other = codex_plugin_kind:make", kind="callbacks")
    assert Registry(KIND, {}).names() == []
    assert Registry("callbacks", {}).names() == ["other"]
    assert Registry("callbacks", {}, plugins=False).names() == []


def test_two_plugins_with_one_name_are_refused_by_both_places(install) -> None:
    install("codex_plugin_one", "same = codex_plugin_one:make")
    install("codex_plugin_two", "same = codex_plugin_two:make")
    with pytest.raises(ConflictError) as caught:
        Registry(KIND, {}).get("same")
    assert caught.value.code == "registry.conflict"
    assert "codex_plugin_one:make" in str(caught.value) and "codex_plugin_two:make" in str(caught.value)


def test_a_built_in_name_is_replaced_by_nobody_and_both_are_named(install) -> None:
    install("codex_plugin_evil", "json = codex_plugin_evil:make", source="def make(): return 'evil'")
    registry = Registry(KIND, {"json": "json:dumps", "loads": "json:loads"})
    with pytest.raises(ConflictError) as caught:
        registry.get("json")
    assert caught.value.code == "registry.conflict"
    assert "json:dumps (built in)" in str(caught.value)
    assert "codex_plugin_evil:make of codex_plugin_evil" in str(caught.value)
    assert registry.get("loads")("1") == 1


def test_a_plugin_for_another_contract_is_refused_by_name(install) -> None:
    source = "CODEX_ML_CONTRACT = {'metrics': 2}\ndef make(): pass\n"
    install("codex_plugin_new", "new = codex_plugin_new:make", source=source)
    with pytest.raises(LoadError) as caught:
        Registry(KIND, {}).get("new")
    assert caught.value.code == "plugin.contract"
    assert "codex_plugin_new 1.0" in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        (None, ["good"]),
        ("codex_plugin_*", ["good"]),
        ("other, Codex-Plugin.GOOD", ["good"]),  # packages are compared as pip does
        ("metrics/good", ["good"]),
        ("trackers/good", []),
        ("other", []),
        ("none", []),
    ],
)
def test_the_environment_says_which_plugins_there_are(
    allowed: str | None, seen: list[str], install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("codex_plugin_good", "good = codex_plugin_good:make", source="def make(): pass\n")
    if allowed is not None:
        monkeypatch.setenv(plugins.VARIABLE, allowed)
    assert Registry(KIND, {}).names() == seen


def test_a_misspelt_group_is_told(install) -> None:
    install("codex_plugin_lost", "lost = codex_plugin_lost:make", kind="trakers")
    assert plugins.strangers() == ("codex_ml.trakers: lost = codex_plugin_lost:make",)


def test_arguments_of_a_registration_are_passed_at_each_call() -> None:
    registry = Registry(KIND, {}, plugins=False)
    for _ in range(2):  # the same again is no conflict
        registry.register("rounded", "builtins:round", kwargs={"ndigits": 1})
    assert registry.get("rounded")(0.25 + 1.1) in (1.3, 1.4)
    assert (
        code_of(lambda: registry.register("rounded", "builtins:round"), ConflictError) == "registry.conflict"
    )


@pytest.mark.parametrize(("kwargs", "fits"), [({"ndigits": 1}, True), ({"digits": 1}, False)])
def test_arguments_that_a_component_does_not_take_are_told_by_name(
    kwargs: dict[str, Any], fits: bool
) -> None:
    registry = Registry(KIND, {}, plugins=False)
    registry.register("rounded", "builtins:round", kwargs=kwargs)
    if fits:
        assert registry.get("rounded")
        return
    with pytest.raises(LoadError, match="unexpected keyword argument 'digits'") as caught:
        registry.get("rounded")
    assert caught.value.code == "registry.arguments"


def test_what_is_registered_by_path_is_told_apart_from_what_is_built_in(install) -> None:
    registry = Registry(KIND, {"json": "json:dumps"})
    registry.register("mine", "codex_ml.metrics.by_name:get_metric", kwargs={"name": "x"})
    assert registry.source("json") is None
    plugin = registry.source("mine")
    assert plugin is not None
    assert (plugin.distribution, plugin.target) == (plugins.BY_PATH, "codex_ml.metrics.by_name:get_metric")
    assert (registry.arguments("mine"), registry.arguments("json")) == ({"name": "x"}, {})
    install("codex_plugin_mine", "mine = codex_plugin_mine:make")
    with pytest.raises(ConflictError, match=r"get_metric \(by path\) and codex_plugin_mine:make"):
        registry.get("mine")


def test_the_first_of_a_distribution_on_the_path_is_the_one_that_counts(
    install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("codex_plugin_old", "old = codex_plugin_old:make")
    info = tmp_path / "newer" / "codex_plugin_old-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: codex_plugin_old\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[codex_ml.metrics]\nnew = codex_plugin_old:make\n")
    monkeypatch.syspath_prepend(tmp_path / "newer")
    plugins.forget()
    assert [(one.name, one.version) for one in plugins.installed(KIND)] == [("new", "2.0")]
