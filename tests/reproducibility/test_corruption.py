"""Damaged bytes are refused by name, the checkpoint before takes over, and nothing is executed."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from pathlib import Path

import pytest

from codex_ml.checkpointing.listing import dangling
from codex_ml.checkpointing.reader import newest_good
from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.publish import MANIFEST, read_json, seal, write_json
from codex_ml.errors import IntegrityError
from reproducibility.damage import PARTS, flip, flips_not_seen, offsets
from reproducibility.harness import chosen, count, counted, fingerprint, unequal
from reproducibility.lab import laboratory

pytestmark = pytest.mark.needs("train")


def test_a_flipped_bit_in_any_file_is_refused_with_the_name_of_the_file() -> None:
    lab = laboratory()
    lab.whole("whole")
    with counted("I1 one bit flipped, 20 offsets of every file") as row:
        row.trials, row.failures = flips_not_seen(lab, PARTS, count(6, 20))


def test_a_run_with_a_damaged_checkpoint_goes_on_from_the_one_before() -> None:
    lab = laboratory()
    expected, rng = fingerprint(lab.whole("whole")), random.Random(2)
    with counted("I1 resume past a flipped bit, damage set aside") as row:
        for part in chosen([*PARTS, "latest", "best"], 3):
            name = lab.copy("whole")
            newest = lab.checkpoints(name)[0]
            victim = newest / part if part in PARTS else newest.parent / part
            flip(victim, *offsets(victim, rng, 1)[0])
            done = lab.train(name)
            aside = [path.name for path in newest.parent.glob(".corrupt-*")]
            odd = [] if bool(aside) == (part in PARTS) else [f"set aside: {aside}"]
            odd += unequal(lab.run(name), expected) + dangling(newest.parent)
            row.check(done.code == 0 and not odd, (part, done.text, odd))


def damages(newest: Path, older: Path) -> dict[str, object]:
    """Name -> a function that damages *newest*."""
    model, optimizer, state = (newest / part for part in PARTS[:3])

    def swap() -> None:
        raw = model.read_bytes()
        model.write_bytes((older / model.name).read_bytes())
        (older / model.name).write_bytes(raw)

    def swap_directories() -> None:
        newest.rename(newest.with_name("aside"))
        older.rename(newest)
        newest.with_name("aside").rename(older)

    def traversal(name: str) -> None:
        manifest = read_json(newest / MANIFEST)
        outside = newest.parent.parent / "journal.jsonl"
        row = {"size": outside.stat().st_size, "sha256": digest_file(outside)}
        manifest["files"][name.format(outside=outside)] = row
        bare = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
        write_json(newest / MANIFEST, {**bare, "manifest_sha256": digest_json(bare)})

    def link() -> None:
        shutil.move(model, newest.parent.parent / "elsewhere")
        model.symlink_to(newest.parent.parent / "elsewhere")

    def link_all() -> None:
        shutil.move(newest, newest.parent.parent / "all")
        newest.symlink_to(newest.parent.parent / "all")

    return {
        "truncated": lambda: os.truncate(model, model.stat().st_size // 2),
        "empty": lambda: os.truncate(optimizer, 0),
        "zero-filled": lambda: model.write_bytes(bytes(model.stat().st_size)),
        "longer": lambda: state.write_bytes(state.read_bytes() + b"\n"),
        "deleted": state.unlink,
        "no manifest": (newest / MANIFEST).unlink,
        "swapped file": swap,
        "swapped checkpoints": swap_directories,
        "extra file": lambda: (newest / "extra").write_text("x"),
        "extra link": lambda: (newest / "extra").symlink_to("/etc/hostname"),
        "link for a file": link,
        "link for the directory": link_all,
        "traversal": lambda: traversal("../../journal.jsonl"),
        "absolute path": lambda: traversal("{outside}"),
    }


def test_every_other_damage_is_refused_too() -> None:
    lab = laboratory()
    lab.whole("whole")
    with counted("I2 truncate, zero-fill, delete, swap, extra, symlink, traversal") as row:
        for kind in damages(Path("a"), Path("b")):
            name = lab.copy("whole")
            newest, older = lab.checkpoints(name)[:2]
            damages(newest, older)[kind]()
            try:
                good = newest_good(newest.parent, set_aside=False, report=lambda _: None)
                row.check(good is not None and good.path.name == older.name, kind)
            except IntegrityError as error:  # a swap damages both, so none is left
                row.check("swap" in kind and newest.name in error.line(), (kind, error.line()))
            lab.drop(name)


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_when_every_checkpoint_is_bad_the_run_is_refused_and_nothing_is_touched() -> None:
    lab = laboratory()
    lab.whole("whole")
    with counted("I3 all checkpoints bad") as row:
        for part in PARTS:
            name = lab.copy("whole")
            for path in lab.checkpoints(name):
                flip(path / part, (path / part).stat().st_size // 2, 0)
            before = tree(lab.run(name))
            done = lab.train(name)
            named = all(path.name in done.text for path in lab.checkpoints(name))
            row.check(done.code == 3 and named and tree(lab.run(name)) == before, done.text)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("part", ["extra.pkl", "model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_pickle_in_a_checkpoint_is_never_executed(part: str, tmp_path: Path) -> None:
    lab, marker = laboratory(), tmp_path / "executed"
    lab.whole("whole")
    with counted("I4 pickle payload never executed", part=part) as row:
        for resealed in (False, True):
            name = lab.copy("whole")
            newest = lab.checkpoints(name)[0]
            (newest / part).write_bytes(pickle.dumps(Payload(marker)))
            if resealed:
                manifest = read_json(newest / MANIFEST)
                seal(newest, {k: v for k, v in manifest.items() if k not in ("files", "manifest_sha256")})
            done = lab.train(name)
            row.check(done.code in (0, 3) and not marker.exists(), done.text)
    assert pickle.loads(pickle.dumps(Payload(marker))) is None
    assert marker.exists(), "the payload itself is harmless, so the test shows nothing"
