from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_ml.data.document import Document, Dropped
from codex_ml.data.sources.common import group_of
from codex_ml.data.sources.files import FilesSource
from codex_ml.data.sources.python_stdlib import PythonStdlibSource
from codex_ml.errors import ConfigError, DataError
from corpora import data_config

pytestmark = pytest.mark.needs("train")


def put(root: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def names(root: Path, **changes: object) -> list[str]:
    return [item.path for item in FilesSource(data_config(path=root, **changes)).inputs()]


def test_known_code_files_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, **{"b/x.py": "1", "a.rs": "2", "a/z.py": "3", "photo.jpg": "4", "Makefile": "5"})
    assert names(tmp_path) == ["Makefile", "a.rs", "a/z.py", "b/x.py"]


def test_globs_take_and_leave_out(tmp_path: Path) -> None:
    put(tmp_path, **{"a.py": "1", "t/a.py": "1", "t/deep/b.py": "1", "c.txt": "1"})
    assert names(tmp_path, include=("**/*.py",)) == ["a.py", "t/a.py", "t/deep/b.py"]
    assert names(tmp_path, include=("t/*.py",)) == ["t/a.py"]
    assert names(tmp_path, include=("*.py",), exclude=("t/",)) == ["a.py"]


def test_gitignore_is_honoured_as_git_does(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{
            ".gitignore": "build/\n*.gen.py\n!keep.gen.py\n/top.py\n",
            "build/x.py": "1",
            "a.gen.py": "1",
            "keep.gen.py": "1",
            "top.py": "1",
            "sub/top.py": "1",
            "sub/.gitignore": "local.py\n!b.gen.py\n",
            "sub/local.py": "1",
            "sub/b.gen.py": "1",
            "local.py": "1",
        },
    )
    assert names(tmp_path) == ["keep.gen.py", "local.py", "sub/b.gen.py", "sub/top.py"]


def test_rules_of_the_repository_around_the_folder_hold_too(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{
            ".git/HEAD": "ref",
            ".git/info/exclude": "secret.py\n",
            ".gitignore": "/src/out/\n*.tmp.py\n",
            "src/a.py": "1",
            "src/a.tmp.py": "1",
            "src/out/b.py": "1",
            "src/secret.py": "1",
        },
    )
    assert names(tmp_path / "src") == ["a.py"]


def test_a_pattern_that_cannot_be_read_is_an_error_in_the_config_and_passed_over_in_gitignore(
    tmp_path: Path,
) -> None:
    put(tmp_path, **{".gitignore": "[z-a]\n!\na.py\n", "a.py": "1", "b.py": "1"})
    assert names(tmp_path) == ["b.py"]
    for pattern in ("[z-a]", "!"):
        with pytest.raises(ConfigError) as caught:
            names(tmp_path, include=(pattern,))
        assert caught.value.code == "data.glob"


def test_hidden_generated_and_installed_files_are_left_out(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{
            "a.py": "1",
            ".hidden.py": "1",
            ".venv/b.py": "1",
            "env/pyvenv.cfg": "",
            "env/lib/c.py": "1",
            "node_modules/d.js": "1",
            "__pycache__/e.py": "1",
        },
    )
    assert names(tmp_path) == ["a.py"]


def test_symbolic_links_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path, **{"a/x.py": "1"})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "y.py").symlink_to(tmp_path / "a" / "x.py")
    os.mkfifo(tmp_path / "pipe.py")
    assert names(tmp_path) == ["a/x.py"]


def test_the_root_may_be_a_link_or_one_file_or_begin_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, **{"real/x.py": "1"})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(tmp_path / "link") == ["x.py"]
    assert names(tmp_path / "real" / "x.py") == ["x.py"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(Path("~/real")) == ["x.py"]


def test_names_do_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    for place in ("one", "two/three"):
        put(tmp_path / place, **{"pkg/a.py": "x = 1"})
    one, two = (FilesSource(data_config(path=tmp_path / place)) for place in ("one", "two/three"))
    assert one.inputs() == two.inputs()
    assert list(one.documents()) == list(two.documents())


def test_a_file_name_that_is_no_utf8_is_given_as_escapes(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py"))).write_text("x = 1")
    assert names(tmp_path) == ["\\xff.py"]


@pytest.mark.parametrize(
    ("path", "depth", "group"),
    [
        ("abc.py", 1, "abc"),
        ("json/tool.py", 1, "json"),
        ("a/b/c.py", 2, "a/b"),
        ("a/b.py", 2, "a/b"),
        ("a/b.py", 3, "a/b"),
        ("Makefile", 1, "Makefile"),
    ],
)
def test_the_group_is_the_leading_part_of_the_path(path: str, depth: int, group: str) -> None:
    assert group_of(path, depth=depth) == group


def test_a_binary_file_is_dropped_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path, **{"a.py": b"\x00\x01", "b.py": "x"})
    found = list(FilesSource(data_config(path=tmp_path)).documents())
    assert isinstance(found[0], Dropped)
    assert found[0].reason == "data.binary"
    assert isinstance(found[1], Document)


def test_bad_utf8_stops_or_is_skipped_as_the_config_says(tmp_path: Path) -> None:
    put(tmp_path, **{"a.py": b"ok\xff", "b.py": "x"})
    with pytest.raises(DataError) as caught:
        list(FilesSource(data_config(path=tmp_path)).documents())
    assert caught.value.code == "data.encoding"
    assert "a.py" in caught.value.line()
    assert "0xff at offset 2" in caught.value.line()
    found = list(FilesSource(data_config(path=tmp_path, on_error="skip")).documents())
    assert [(item.reason if isinstance(item, Dropped) else item.raw) for item in found] == [
        "data.encoding",
        b"x",
    ]


def test_an_unreadable_file_stops_or_is_skipped_as_the_config_says() -> None:
    # This file exists, is regular, and refuses to be read from its start, even for root.
    with pytest.raises(DataError) as caught:
        FilesSource(data_config(path="/proc/self/mem")).inputs()
    assert caught.value.code == "data.unreadable"
    source = FilesSource(data_config(path="/proc/self/mem", on_error="skip"))
    assert source.inputs()[0].sha256 == ""
    (dropped,) = source.documents()
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "data.unreadable"


def test_a_file_that_changes_between_hashing_and_reading_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, **{"a.py": "x = 1"})
    source = FilesSource(data_config(path=tmp_path))
    source.inputs()
    put(tmp_path, **{"a.py": "x = 2"})
    with pytest.raises(DataError) as caught:
        list(source.documents())
    assert caught.value.code == "data.changed"


@pytest.mark.parametrize(("path", "code"), [(None, "data.path"), ("/nowhere/at/all", "data.path")])
def test_a_missing_path_is_a_clear_error(path: str | None, code: str) -> None:
    with pytest.raises(DataError) as caught:
        FilesSource(data_config(path=path)).inputs()
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert "\n" not in caught.value.line()


def test_a_folder_without_wanted_files_is_a_clear_error(tmp_path: Path) -> None:
    put(tmp_path, **{"a.jpg": "1"})
    with pytest.raises(DataError) as caught:
        FilesSource(data_config(path=tmp_path)).inputs()
    assert caught.value.code == "data.empty"


def test_the_standard_library_is_found_without_installed_packages() -> None:
    inputs = PythonStdlibSource(data_config("python_stdlib", include=("**/*.py",))).inputs()
    found = {item.path for item in inputs}
    assert {"abc.py", "json/decoder.py"} <= found
    assert not any("site-packages" in name or "dist-packages" in name for name in found)
