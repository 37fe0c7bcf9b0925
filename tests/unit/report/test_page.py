from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_ml.errors import IntegrityError, MissingExtraError, UsageError
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.page import visible, write_report

if TYPE_CHECKING:
    from codex_ml.data.prepare import DatasetRef

pytestmark = pytest.mark.needs("train", "report")
Look = Callable[[RunDirectory], Any]


def test_the_page_is_one_file_without_outside_links_or_scripts(
    run_directory: RunDirectory, page: Look
) -> None:
    seen = page(run_directory)
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "img", "base", "form", "image"}
    assert not [name for name in {key for _, a in seen.tags for key in a} if name.startswith("on")]
    links = seen.attributes("href") + seen.attributes("src")
    assert links and all(link.startswith("#") for link in links)
    assert not re.search(r"https?:|url\((?!#)|@import|@font-face", seen.html)
    assert "default-src 'none'" in seen.html


def test_every_reference_in_the_page_has_its_one_target(run_directory: RunDirectory, page: Look) -> None:
    seen = page(run_directory)
    ids = seen.attributes("id")
    assert len(ids) == len(set(ids))
    inside = {link[1:] for link in seen.attributes("href")} | set(re.findall(r"url\(#([^)]+)\)", seen.html))
    assert inside | set(seen.attributes("aria-labelledby")) <= set(ids)


def test_every_picture_and_table_says_what_it_shows(run_directory: RunDirectory, page: Look) -> None:
    seen = page(run_directory)
    charts = [attributes for attributes in seen.named("svg") if attributes.get("role") == "img"]
    assert len(charts) == len(seen.named("svg")) == 5
    assert len(seen.named("caption")) == len(seen.named("table"))
    for unit in ("nats per token", "tokens per second", "resident memory (MB)", "optimizer step"):
        assert unit in seen.text


def test_equal_inputs_give_equal_bytes_wherever_they_lie(
    run_directory: RunDirectory, dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    first = write_report(run_directory, dataset=dataset).read_bytes()
    copy = tmp_path / "elsewhere" / "small"
    shutil.copytree(run_directory.path, copy)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20.0)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert write_report(RunDirectory(copy), dataset=dataset).read_bytes() == first
    assert mpl.rcParams["font.size"] == 20.0
    assert str(tmp_path).encode() not in first


def test_what_the_data_holds_is_text_and_never_markup(
    run_directory: RunDirectory, page: Look, hand: Any, tmp_path: Path
) -> None:
    attack = "</code></pre><script>alert(3)</script><a href='http://x'>"
    hand.write_samples(run_directory, [(attack, '"\x00\u202e\ud800' + attack, False)])
    hostile = RunDirectory(tmp_path / '<b onload="x">&')
    shutil.copytree(run_directory.path, hostile.path)
    seen = page(hostile)
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "b"}
    assert all(link.startswith("#") for link in seen.attributes("href"))
    for text in (
        attack,
        hand.hostile_group,
        "<script>alert(2)</script>",
        '<b onload="x">&',
        "A & B <processor>",
    ):
        assert text in seen.text
    assert "⟨U+0000⟩⟨U+202E⟩⟨U+D800⟩" in seen.text


def test_characters_that_cannot_be_seen_are_named_and_others_stay() -> None:
    assert visible("a\tb\nc é 数 🙂") == "a\tb\nc é 数 🙂"
    assert visible("\r\x1b\u200b") == "⟨U+000D⟩⟨U+001B⟩⟨U+200B⟩"
    assert visible(3) == 3


def test_the_page_shows_result_settings_machine_and_digests(
    run_directory: RunDirectory, dataset: DatasetRef, page: Look
) -> None:
    text = page(run_directory).text
    for expected in (
        "400 of 40",  # a test run trained longer than its config: both numbers are shown as they are
        "106,816",
        "ab" * 32,
        "bitwise",
        "The model needs 25.0 % fewer bits than xz -9.",
        "2.400 to 2.600",
        "asked for",
        "optimizer.matrix_lr",
        "OMP_NUM_THREADS",
        "1 min 10 s",
        dataset.digest,
        dataset.corpus.digest,
        dataset.tokenizer.digest,
        f"{'ef' * 20} (main, with uncommitted changes)",
        "dedup.exact",
        "Largest groups: train",
    ):
        assert expected in text, expected
    assert "did not record" not in text


def test_a_run_in_its_beginning_gives_a_page_that_says_what_is_missing(
    tmp_path: Path, dataset: DatasetRef, page: Look, hand: Any
) -> None:
    directory = RunDirectory(tmp_path / "young")
    hand.open_record(directory, dataset=dataset)
    text = page(directory).text
    for sentence in (
        "The pipeline has not finished",
        "No training metrics were recorded.",
        "There is no evaluation of this run.",
        "There are no samples of this run.",
        "This run did not record the metric 'memory_bytes'.",
        "This run was not validated during training.",
        "Nothing was measured yet.",
        "The stages have not finished.",
    ):
        assert sentence in text, sentence


def test_a_run_that_was_only_trained_shows_its_training_loss(
    tmp_path: Path, dataset: DatasetRef, page: Look, hand: Any
) -> None:
    directory = RunDirectory(tmp_path / "trained")
    record = hand.open_record(directory, dataset=dataset)
    hand.log_training(directory, run_id=record["run_id"], steps=range(10, 210, 10))
    text = page(directory).text
    assert "Training loss" in text and "nats per token at step 200" in text
    assert "200 of 40" in text and "Last written" in text


def test_values_that_are_not_finite_are_told_and_shown(
    tmp_path: Path, dataset: DatasetRef, page: Look, hand: Any
) -> None:
    directory = RunDirectory(tmp_path / "broken")
    record = hand.open_record(directory, dataset=dataset)
    broken = {50: float("nan"), 60: float("inf")}
    hand.log_training(directory, run_id=record["run_id"], steps=range(10, 210, 10), broken=broken)
    hand.write_evaluation(directory)
    hand.finish(directory, token_accuracy=0.5)
    seen = page(directory)
    assert "2 values not finite (red crosses)" in seen.text
    assert "var(--bad)" in seen.html


def test_a_run_of_only_broken_values_still_gives_a_page(
    tmp_path: Path, dataset: DatasetRef, page: Look, hand: Any
) -> None:
    directory = RunDirectory(tmp_path / "nan")
    record = hand.open_record(directory, dataset=dataset)
    broken = {10: float("nan"), 20: float("nan")}
    hand.log_training(directory, run_id=record["run_id"], steps=range(10, 30, 10), broken=broken)
    assert "no finite value, 2 values not finite" in page(directory).text


def test_a_long_run_with_long_samples_stays_below_a_megabyte(
    run_directory: RunDirectory, page: Look, hand: Any
) -> None:
    run_id = run_directory.read()["run_id"]
    hand.log_training(run_directory, run_id=run_id, steps=range(500, 3500))
    hand.write_samples(run_directory, [("x=", "1+a-'s'#c\n" * 4_000, False)] * 8)
    seen = page(run_directory)
    assert len(seen.html.encode()) < 1_000_000
    assert "more characters are in samples/step-00000400.json" in seen.text


def test_a_folder_without_a_run_is_an_error_and_leaves_nothing(tmp_path: Path, dataset: DatasetRef) -> None:
    with pytest.raises(UsageError) as caught:
        write_report(RunDirectory(tmp_path / "none"), dataset=dataset)
    assert caught.value.code == "run.missing"
    assert list(tmp_path.iterdir()) == []


def test_a_page_never_shows_other_data_than_the_run_was_trained_on(
    run_directory: RunDirectory, dataset: DatasetRef
) -> None:
    other = dataclasses.replace(dataset, digest="00" * 32)
    with pytest.raises(IntegrityError) as caught:
        write_report(run_directory, dataset=other)
    assert caught.value.code == "report.dataset"
    assert not run_directory.report.exists()


@pytest.mark.parametrize("module", ["matplotlib", "jinja2", "pygments.lexers"])
def test_an_absent_package_is_named_with_its_extra(
    run_directory: RunDirectory, dataset: DatasetRef, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"codex-ml\[report\]"):
        write_report(run_directory, dataset=dataset)
    assert not run_directory.report.exists()
