"""Every byte of a run is bound to a digest; without the digest or the chain the checks go blind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from codex_ml.core import publish
from codex_ml.core.paths import Home
from codex_ml.errors import IntegrityError
from codex_ml.pipeline.verify import verify_run
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training import journal
from codex_ml.training.journal import read_journal
from reproducibility.damage import flip, flips_not_seen, offsets
from reproducibility.harness import count, counted
from reproducibility.lab import laboratory

pytestmark = pytest.mark.needs("train")


def test_verify_sees_a_changed_byte_anywhere_in_a_run() -> None:
    lab, rng = laboratory(), random.Random(4)
    lab.whole("whole")
    run = RunDirectory(lab.run(lab.copy("whole")))
    home = Home(lab.home)
    assert [check.what for check in verify_run(run, home=home) if check.fault] == []
    files = [path for path in sorted(run.path.rglob("*")) if path.is_file() and path.stat().st_size]
    with counted("P3 verify sees any of 100 changed bytes") as row:
        for _ in range(count(12, 100)):
            victim = rng.choice(files)
            at, bit = offsets(victim, rng, 1)[0]
            flip(victim, at, bit)
            faults = [check.what for check in verify_run(run, home=home) if check.fault]
            row.check(bool(faults), (victim.relative_to(run.path), at, bit))
            flip(victim, at, bit)


@pytest.mark.parametrize(("at_rest", "faults"), [(True, ["pointer"]), (False, [])])
def test_a_pointer_behind_is_a_fault_only_in_a_run_at_rest(at_rest: bool, faults: list[str]) -> None:
    lab = laboratory()
    if at_rest:
        lab.whole("whole")
        name = lab.copy("whole")
    else:
        name = lab.new()
        assert lab.train(name, faults={"signal_after_step": {"steps": [6]}}).code == 75
    run = RunDirectory(lab.run(name))
    older = sorted(path.name for path in run.checkpoints.glob("step-*"))[0]
    (run.checkpoints / "latest").write_text(f"{older}\n")
    checks = verify_run(run, home=Home(lab.home))
    assert [check.what for check in checks if check.fault] == faults
    assert any(f"names {older}" in (check.fault or check.note or "") for check in checks)


class Anything(str):
    """Equal to all there is."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def test_the_check_sees_that_the_checksum_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = laboratory()
    lab.whole("whole")
    monkeypatch.setattr(publish, "digest_file", lambda _: Anything())
    assert flips_not_seen(lab, ("state.json",), 6)[1], "flipped bits were refused without a checksum"


def test_the_check_sees_that_the_chain_of_the_journal_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = (laboratory().whole("whole") / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"skipped":false', b'"skipped":null ')
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines))
    with pytest.raises(IntegrityError, match="4 does not continue the line before"):
        list(read_journal(path))
    parse = journal._parse
    monkeypatch.setattr(journal, "_parse", lambda *place: {**parse(*place), "previous": Anything()})
    assert len(list(read_journal(path))) == len(lines), "tampering was seen without the chain"
