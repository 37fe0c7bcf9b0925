from __future__ import annotations

import pytest

from codex_ml.core.paths import Home
from codex_ml.data.inspect import inspect_row
from codex_ml.data.prepare import DatasetRef, prepare_dataset
from codex_ml.data.stats import dataset_stats
from codex_ml.errors import DataError
from codex_ml.tokenization.special import END
from corpora import data_config, tokenizer_config, write_packages

pytestmark = pytest.mark.needs("train")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    root = tmp_path_factory.mktemp("inspect")
    write_packages(root / "src", packages=8)
    (root / "src" / "pkg00" / "a.rs").write_text("fn main() { let value = 1; }\n")
    (root / "src" / "pkg00" / "b.rs").write_text("fn main() { let value = 1; }\n")
    return prepare_dataset(
        data_config(path=root / "src"),
        tokenizer_cfg=tokenizer_config(),
        context=64,
        home=Home(root),
        threads=1,
    )


def test_the_rows_of_a_split_show_its_documents_one_after_the_other(dataset: DatasetRef) -> None:
    packed = dataset.split("train")
    text = ""
    for row in range(packed.eval_rows()):
        view = inspect_row(dataset, split="train", row=row)
        assert view.labels == min(64, packed.tokens - 1 - row * 64)
        for number, segment in enumerate(view.segments):
            assert len(segment.ids) == len(segment.tokens) == segment.document.stop - segment.document.start
            assert segment.document.begins == (number > 0 or row == 0 or text.endswith(END))
        ids = [token for segment in view.segments for token in segment.ids]
        text += dataset.tokenizer.open().decode(ids[(row > 0) :])  # the first token came as a label before
    assert text == "".join(document.text + END for document in dataset.corpus.documents("train"))


def test_a_row_that_does_not_exist_is_a_clear_error(dataset: DatasetRef) -> None:
    with pytest.raises(DataError) as caught:
        inspect_row(dataset, split="train", row=10**6)
    assert caught.value.code == "data.row"


def test_stats_add_up(dataset: DatasetRef) -> None:
    stats = dataset_stats(dataset, groups=3)
    assert stats.inputs == 18
    assert stats.dropped == {"dedup.exact": {"documents": 1, "bytes": 29}}
    for split in stats.splits:
        figures = dataset.manifest["splits"][split.name]
        assert split.total.documents == figures["documents"]
        assert split.total.bytes == figures["bytes"] == sum(part.bytes for part in split.languages.values())
        assert split.total.tokens == figures["tokens"]
        assert split.groups == figures["groups"]
        assert len(split.largest_groups) <= 3
        sizes = [part.bytes for part in split.largest_groups.values()]
        assert sizes == sorted(sizes, reverse=True)
    languages = {name for split in stats.splits for name in split.languages}
    assert languages == {"python", "rust"}
    train = stats.splits[0]
    assert train.total.bytes_per_token == train.total.bytes / train.total.tokens
