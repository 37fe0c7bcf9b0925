"""The package that parts go into: what is written, what is refused, and that nothing is lost."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from codex_ml.errors import ConflictError, IntegrityError, UsageError
from codex_ml.scaffold.project import add_part, new_plugin, package_of, recorded


@pytest.fixture
def package(tmp_path: Path) -> Path:
    new_plugin("my-parts", tmp_path)
    return tmp_path / "my-parts"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_package_is_whole_and_has_no_part_yet(package: Path) -> None:
    assert sorted(contents(package)) == ["README.md", "pyproject.toml", "src/my_parts/__init__.py"]
    project = tomllib.loads((package / "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-parts"
    assert package_of(package, project) == "my_parts"
    assert recorded(package) == []


def test_showing_a_part_writes_nothing_and_making_it_writes_what_was_shown(package: Path) -> None:
    before = contents(package)
    change = add_part("metric", "exact", package)
    assert contents(package) == before
    shown = change.diff()
    assert "+++ b/src/my_parts/exact.py" in shown
    assert "--- /dev/null" in shown
    assert '+exact = "my_parts.exact:exact"' in shown
    written = change.write()
    after = contents(package)
    assert {path.relative_to(package).as_posix() for path in written} == {
        *(".codex/scaffold.json", "pyproject.toml", "src/my_parts/exact.py", "tests/test_exact.py")
    }
    added = {line[1:] for line in shown.splitlines() if line.startswith("+") and not line.startswith("+++")}
    assert set(after["src/my_parts/exact.py"].decode().splitlines()) <= added
    assert after["README.md"] == before["README.md"]


@pytest.mark.parametrize("taken", ["src/my_parts/exact.py", "tests/test_exact.py", "src/my_parts/exact"])
@pytest.mark.parametrize("what", ["file", "directory", "link to nothing"])
def test_nothing_is_overwritten(taken: str, what: str, package: Path) -> None:
    path = package / taken
    path.parent.mkdir(exist_ok=True)
    if what == "file":
        path.write_text("mine\n")
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    before = contents(package)
    with pytest.raises(ConflictError) as caught:
        add_part("metric", "exact", package)
    assert caught.value.code == "scaffold.exists"
    assert str(path) in str(caught.value)
    assert contents(package) == before


def test_what_came_between_showing_and_writing_is_not_overwritten_either(package: Path) -> None:
    change = add_part("metric", "exact", package)
    (package / "tests").mkdir()
    (package / "tests" / "test_exact.py").write_text("mine\n")
    before = contents(package)
    with pytest.raises(ConflictError):
        change.write()
    assert contents(package) == before
    with pytest.raises(ConflictError):
        new_plugin("my-parts", package.parent)


@pytest.mark.parametrize("name", ["json", "codex-ml", "tests", "1st"])
def test_a_package_that_would_hide_another_is_not_made(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        new_plugin(name, tmp_path)
    assert caught.value.code == "scaffold.name"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "pyproject.toml"),
        (b"[project", "holds no package"),
        (b"\xff\xfe", "holds no package"),
        (b"[tool.poetry]\nname = 'p'\n", "names no project"),
        (b"project = 3\n", "names no project"),
        (b"[project]\nname = 3\n", "names no project"),
        (b"[project]\nname = 'other'\n", "no package of its project's name"),
        (b"[project]\nname = '../my_parts'\n", "no package of its project's name"),
    ],
)
def test_where_no_package_is_the_reason_is_told(text: bytes | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(UsageError, match=told) as caught:
        add_part("metric", "exact", tmp_path)
    assert caught.value.code == "scaffold.project"


@pytest.mark.parametrize(("place", "module"), [("src/one", "src/one/exact.py"), ("one", "one/exact.py")])
def test_a_package_of_another_name_is_found_where_it_is_the_only_one(
    place: str, module: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'Other.Name'\n")
    for folder in (place, "tests"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()
    assert module in add_part("metric", "exact", tmp_path).files


def test_line_ends_of_windows_stay(package: Path) -> None:
    path = package / "pyproject.toml"
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    add_part("metric", "exact", package).write()
    after = path.read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n") == before.count(b"\n") + 3
    assert set(before.split(b"\r\n")) <= set(after.split(b"\r\n"))


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [{"word": [], "name": "a", "files": {}, "contract": 1}]}',
        "{}",
        "[]",
        '{"items": 3}',
        '{"items": [3]}',
        '{"items": [{"word": "widget", "name": "x"}]}',
    ],
)
def test_a_record_that_is_none_is_told(text: str, package: Path) -> None:
    (package / ".codex").mkdir()
    (package / ".codex" / "scaffold.json").write_text(text)
    with pytest.raises(IntegrityError) as caught:
        recorded(package)
    assert caught.value.code == "scaffold.record"


def test_what_was_made_is_remembered_with_its_digests(package: Path) -> None:
    for word, name in (("metric", "exact"), ("callback", "watch"), ("metric", "exact2")):
        change = add_part(word, name, package)
        change.write()
    items = recorded(package)
    assert [(item["word"], item["name"], item["contract"]) for item in items] == [
        *(("metric", "exact", 1), ("callback", "watch", 1), ("metric", "exact2", 1))
    ]
    assert sorted(items[0]["files"]) == ["src/my_parts/exact.py", "tests/test_exact.py"]
    assert json.loads((package / ".codex" / "scaffold.json").read_text())["format"] == 1
