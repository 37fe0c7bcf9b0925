"""Components by path: from a file, from variables, under a name of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from codex_ml.config.compose import compose
from codex_ml.config.environment import known_variables
from codex_ml.config.interfaces import SECTIONS, named_interfaces, register_interfaces
from codex_ml.errors import ConfigError, ConflictError
from codex_ml.registry import registry_for


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Of this test alone."""
    registry_for.cache_clear()
    yield
    registry_for.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "interfaces.yaml"


def named(file: Path, text: str) -> dict[str, str]:
    file.write_text(text)
    return {"CODEX_INTERFACES_CFG": str(file)}


def test_a_file_gives_one_component_a_section_or_a_list_of_them(file: Path) -> None:
    text = """
tokenizer: {name: mine, path: "my.module:Tokenizer", kwargs: {lower: true}}
tracker:
  - {name: one, path: "my_module:One"}
  - {path: "my_module:Outer.Two"}
"""
    found = list(named_interfaces(named(file, text)))
    assert [(one.kind, one.name, one.target, one.kwargs) for one in found] == [
        ("tokenizers", "mine", "my.module:Tokenizer", {"lower": True}),
        ("trackers", "one", "my_module:One", {}),
        ("trackers", "custom", "my_module:Outer.Two", {}),
    ]
    assert found[2].place == f"{file}: tracker[1]"


@pytest.mark.parametrize(("kind", "middle"), SECTIONS.values())
def test_a_variable_gives_one_with_its_arguments(kind: str, middle: str) -> None:
    environ = {f"CODEX_{middle}_PATH": "my_module:Mine", f"CODEX_{middle}_KWARGS": '{"size": 3}'}
    assert set(environ) <= set(known_variables())
    (found,) = register_interfaces(environ)
    assert (found.kind, found.name, found.kwargs) == (kind, "custom", {"size": 3})
    registry_for(kind).check("custom")
    assert registry_for(kind).arguments("custom") == {"size": 3}


def test_the_same_again_is_no_conflict_and_another_under_the_name_is(file: Path) -> None:
    environ = named(file, 'metric: {name: mine, path: "builtins:round", kwargs: {ndigits: 2}}')
    assert register_interfaces(environ) == register_interfaces(environ)
    assert registry_for("metrics").get("mine")(0.123) == 0.12
    for other in ("builtins:max", "builtins:round"):
        with pytest.raises(ConflictError, match="builtins:round"):
            register_interfaces(named(file, f'metric: {{name: mine, path: "{other}"}}'))
    with pytest.raises(ConflictError, match=r"'csv' as my:Csv .*file_sinks:CsvTracker"):
        register_interfaces(named(file, 'tracker: {name: csv, path: "my:Csv"}'))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "wanted a mapping of sections"),
        ("- tokenizer", "got list"),
        ("tokeniser: {path: 'a:B'}", "did you mean 'tokenizer'"),
        ("tokenizer: a:B", "got 'a:B'"),
        ("tokenizer: {name: mine}", "got no path"),
        ("tokenizer: {path: a.B}", "wanted path: module:Class"),
        ("tokenizer: {path: 'a:B; import os'}", "wanted path: module:Class"),
        ("tokenizer: {pth: 'a:B'}", "did you mean 'path'"),
        ("tokenizer: {path: 'a:B', name: ''}", "name ''"),
        ("tokenizer: {path: 'a:B', name: 'a,b'}", "name 'a,b'"),
        ("tokenizer: {path: 'a:B', kwargs: [1]}", "kwargs as a mapping"),
        ("tokenizer: {path: 'a:B', kwargs: {1: 2}}", "kwargs as a mapping"),
        ("tokenizer: {path: 'a:B', kwargs: {day: 2020-01-01}}", "values as JSON has them"),
        ("tokenizer: {path: 'a:B', kwargs: {x: .nan}}", "values as JSON has them"),
        ("tokenizer: [", "cannot be read"),
        ("tokenizer: !!python/object:os.system {}", "cannot be read"),
    ],
)
def test_what_is_written_wrongly_is_an_error_that_names_the_place(text: str, told: str, file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        register_interfaces(named(file, text))
    assert caught.value.code == "config.interfaces"
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"CODEX_RL_PATH": "nothing"}, "CODEX_RL_PATH"),
        ({"CODEX_RL_PATH": "a:B", "CODEX_RL_KWARGS": "{"}, "CODEX_RL_KWARGS"),
        (
            {"CODEX_RL_PATH": "a:B", "CODEX_RL_KWARGS": "[1]"},
            r"CODEX_RL_KWARGS holds no arguments; got \[1\]",
        ),
        ({"CODEX_RL_PATH": "a:B", "CODEX_RL_KWARGS": "[]"}, "CODEX_RL_KWARGS"),
        ({"CODEX_RL_PATH": "a:B", "CODEX_RL_KWARGS": '{"x": NaN}'}, "CODEX_RL_KWARGS"),
        ({"CODEX_RL_KWARGS": "{}"}, "CODEX_RL_KWARGS"),
        ({"CODEX_INTERFACES_CFG": "/nowhere.yaml"}, "/nowhere.yaml"),
    ],
)
def test_a_wrong_variable_is_named(environ: Mapping[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        register_interfaces(environ)
    assert caught.value.code == "config.interfaces"


def test_a_file_that_is_no_text_is_told(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        register_interfaces({"CODEX_INTERFACES_CFG": str(file)})


def test_an_argument_that_is_a_secret_is_not_shown(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        register_interfaces(named(file, "tracker: {path: 'a:B', kwargs: {1: {password: Hunter2Hunter2}}}"))
    assert "Hunter2" not in str(caught.value)


def test_a_run_uses_it_by_its_name_and_only_where_it_is_allowed(file: Path) -> None:
    text = 'tracker: {name: mine, path: "codex_ml.tracking.file_sinks:CsvTracker"}'
    words = ["tracking.sinks=[ndjson,mine]"]
    config = compose(words, environ=named(file, text)).config
    assert config.tracking.sinks == ("ndjson", "mine")
    compose([*words, "plugins.allow=[trackers/mine]"], environ=named(file, text))
    with pytest.raises(ConfigError, match=r"file_sinks:CsvTracker by path") as caught:
        compose([*words, "plugins.allow=[]"], environ=named(file, text))
    assert caught.value.code == "config.plugin"
