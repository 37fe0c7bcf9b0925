from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.core.digest import digest_json
from codex_ml.core.publish import (
    MANIFEST,
    exclusive,
    read_json,
    seal,
    staged,
    verify_directory,
    write_file,
    write_json,
)
from codex_ml.errors import IntegrityError, StorageError


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A published directory of two files, one of them in a folder."""
    target = tmp_path / "entry"
    with staged(target, meta={"kind": "test"}) as stage:
        (stage / "a.bin").write_bytes(b"0123456789")
        (stage / "deep").mkdir()
        (stage / "deep" / "b.txt").write_text("text")
    return target


def resealed(directory: Path, change: Any) -> None:
    """Give the manifest another content under a digest that fits, as a forger would."""
    manifest = read_json(directory / MANIFEST)
    change(manifest)
    manifest.pop("manifest_sha256", None)
    manifest["manifest_sha256"] = digest_json(manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest))


# ---- publishing ----------------------------------------------------------------------------------


def test_a_published_directory_verifies_and_nothing_else_is_left_beside_it(sealed: Path) -> None:
    manifest = verify_directory(sealed)
    assert manifest["kind"] == "test"
    assert set(manifest["files"]) == {"a.bin", "deep/b.txt"}
    assert [path.name for path in sealed.parent.iterdir()] == ["entry"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_is_raised_while_building_nothing_stays(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), staged(tmp_path / "entry", meta={}) as stage:
        (stage / "half").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_the_block_adds_to_meta_is_in_the_manifest(tmp_path: Path) -> None:
    meta: dict[str, Any] = {}
    with staged(tmp_path / "entry", meta=meta) as stage:
        (stage / "x").write_text("x")
        meta["rows"] = 7
    assert verify_directory(tmp_path / "entry")["rows"] == 7


def test_an_existing_target_is_never_replaced(sealed: Path) -> None:
    before = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    with pytest.raises(StorageError) as caught, staged(sealed, meta={}) as stage:
        (stage / "a.bin").write_bytes(b"other")
    assert caught.value.code == "storage.write"
    assert "exists" in str(caught.value)
    assert {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()} == before
    assert [path.name for path in sealed.parent.iterdir()] == ["entry"]


def test_the_manifest_is_written_after_every_file(tmp_path: Path) -> None:
    """A manifest that cannot be written leaves complete files and no manifest: not the other way round."""
    (tmp_path / "data").write_text("data")
    with pytest.raises(ValueError, match="JSON"):
        seal(tmp_path, {"not json": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    with pytest.raises(IntegrityError) as caught:
        verify_directory(tmp_path)
    assert f"{MANIFEST} is missing" in str(caught.value)


# ---- verifying -----------------------------------------------------------------------------------


def missing(entry: Path) -> str:
    (entry / "a.bin").unlink()
    return "a.bin is missing"


def extra(entry: Path) -> str:
    (entry / "deep" / "surplus").write_text("")
    return "deep/surplus is not in the manifest"


def longer(entry: Path) -> str:
    (entry / "a.bin").write_bytes(b"0123456789A")
    return "a.bin has 11 bytes, not 10"


def different(entry: Path) -> str:
    (entry / "deep" / "b.txt").write_text("teXt")
    return "deep/b.txt has other bytes"


def symlink(entry: Path) -> str:
    outside = entry.parent / "outside"
    outside.write_bytes((entry / "a.bin").read_bytes())
    (entry / "a.bin").unlink()
    (entry / "a.bin").symlink_to(outside)
    return "a.bin leaves the directory"


def traversal(entry: Path) -> str:
    (entry.parent / "outside").write_bytes(b"0123456789")
    resealed(entry, lambda m: m["files"].update({"../outside": m["files"]["a.bin"]}))
    return "../outside leaves the directory"


def absolute(entry: Path) -> str:
    resealed(entry, lambda m: m["files"].update({"/etc/hostname": m["files"]["a.bin"]}))
    return "/etc/hostname leaves the directory"


def no_manifest(entry: Path) -> str:
    (entry / MANIFEST).unlink()
    return f"{MANIFEST} is missing"


def no_files(entry: Path) -> str:
    (entry / MANIFEST).write_text("[]")
    return f"{MANIFEST} lists no files"


def edited_manifest(entry: Path) -> str:
    text = (entry / MANIFEST).read_text()
    (entry / MANIFEST).write_text(text.replace('"kind": "test"', '"kind": "text"'))
    return f"{MANIFEST} has other content"


DAMAGES = [
    *(missing, extra, longer, different, symlink),
    *(traversal, absolute, no_manifest, no_files, edited_manifest),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_refused_by_the_name_of_the_file(sealed: Path, damage: Any) -> None:
    wanted = damage(sealed)
    with pytest.raises(IntegrityError) as caught:
        verify_directory(sealed)
    assert wanted in str(caught.value)


def test_a_manifest_that_is_no_json_is_named(sealed: Path) -> None:
    (sealed / MANIFEST).write_bytes(b'{"files": \xff}')
    with pytest.raises(IntegrityError) as caught:
        verify_directory(sealed)
    assert caught.value.code == "integrity.json"
    assert MANIFEST in str(caught.value)


# ---- disk trouble --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "code"), [("/sys/codex", "storage.permission"), ("/proc/codex", "storage.write")]
)
def test_a_place_that_refuses_even_root_is_a_storage_error(place: str, code: str) -> None:
    for act in (lambda: write_file(Path(place) / "file", "x"), lambda: _publish(Path(place) / "entry")):
        with pytest.raises(StorageError) as caught:
            act()
        assert caught.value.code == code
        assert place in str(caught.value)
        assert caught.value.exit_code == 1


def _publish(target: Path) -> None:
    with staged(target, meta={}):
        raise AssertionError("the stage cannot exist")


@pytest.mark.parametrize("name", ["absent", "folder", "absent/deeper"])
def test_a_source_that_cannot_be_read_is_named_and_not_the_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError) as caught, staged(tmp_path / "out" / "entry", meta={}) as stage:
        shutil.copyfile(tmp_path / name, stage / "copy")
    assert caught.value.code == "storage.read"
    assert caught.value.what == f"cannot read {tmp_path / name}"
    assert "entry" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [("ENOSPC", "storage.full"), ("EROFS", "storage.permission")])
def test_another_file_that_cannot_be_written_is_named(tmp_path: Path, number: str, code: str) -> None:
    other = os.fsencode(tmp_path / "other")
    with pytest.raises(StorageError) as caught, staged(tmp_path / "entry", meta={}):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), other)
    assert caught.value.code == code
    assert caught.value.what.endswith(f"write {tmp_path / 'other'}")


def test_trouble_within_the_stage_or_of_no_named_file_is_that_of_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = Path("entry")  # the error names the stage as it was opened, relative or not

    def no_file(stage: Path) -> None:
        raise OSError(errno.EIO, "broken")

    def within(stage: Path) -> None:
        (stage / "no" / "such").write_text("x")

    def absolute(stage: Path) -> None:
        (stage.absolute() / "no" / "such").write_text("x")

    for act in (no_file, within, absolute):
        with pytest.raises(StorageError) as caught, staged(target, meta={}) as stage:
            act(stage)
        assert (caught.value.code, caught.value.what) == ("storage.write", "cannot write entry")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_directory_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        write_file(tmp_path / "file" / "inside", "x")
    assert caught.value.code == "storage.write"


@pytest.mark.parametrize("number", ["EACCES", "EPERM", "EROFS"])
def test_refusals_of_the_system_are_permission_errors(number: str) -> None:
    from codex_ml.core.publish import writing

    with pytest.raises(StorageError) as caught, writing(Path("/some/where")):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
    assert caught.value.code == "storage.permission"
    assert "CODEX_HOME" in str(caught.value)


FULL = """
import resource, signal, sys
from pathlib import Path
from codex_ml.core.publish import staged, write_file
from codex_ml.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
root = Path(sys.argv[1])
write_file(root / "pointer", "old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for act in ("write", "stage"):
    try:
        if act == "write":
            write_file(root / "pointer", "x" * 5000)
        else:
            with staged(root / "entry", meta={}) as stage:
                (stage / "big").write_bytes(b"x" * 5000)
    except StorageError as error:
        print(error.code)
"""


def test_a_full_disk_is_named_and_leaves_the_old_file_and_nothing_else(tmp_path: Path, run) -> None:
    done = run(sys.executable, "-c", FULL, tmp_path)
    assert done.out.split() == ["storage.full", "storage.full"], done.err
    assert [path.name for path in tmp_path.iterdir()] == ["pointer"]
    assert (tmp_path / "pointer").read_text() == "old"


# ---- single files --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_is_read_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_nan_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


HOLDER = """
import sys, time
from pathlib import Path
from codex_ml.core.publish import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
    Path(sys.argv[2]).write_text("done")
"""


def test_a_lock_waits_for_the_other_process_and_dies_with_it(tmp_path: Path) -> None:
    import subprocess

    done = tmp_path / "done"
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "locks" / "x"), str(done)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        holder.stdin.close()  # from here on it finishes, and only then is the lock free
        with exclusive(tmp_path / "locks" / "x"):
            assert done.read_text() == "done"
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        with exclusive(tmp_path / "locks" / "x"):
            pass


@pytest.mark.parametrize("body", ['{"loss": NaN}', "[Infinity]", "{", b"\xff"])
def test_what_json_does_not_have_is_no_json(tmp_path: Path, body: str | bytes) -> None:
    from codex_ml.core.publish import read_json
    from codex_ml.errors import IntegrityError

    path = tmp_path / "a.json"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    with pytest.raises(IntegrityError, match="not valid JSON"):
        read_json(path)
