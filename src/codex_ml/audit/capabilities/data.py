"""Data: loaded, split and ordered the same way twice, and known by digest."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "data",
    "Data Handling",
    signals=(
        Signal(
            "data.use",
            calls=(
                *(
                    "datasets.load_dataset",
                    "load_dataset",
                    "DataLoader",
                    "pandas.read_csv",
                    "pandas.read_parquet",
                ),
                *("numpy.memmap", "numpy.fromfile", "pyarrow.parquet.read_table", "datasets.load_from_disk"),
                *("pyarrow.parquet.ParquetFile", "*.from_json"),
            ),
            bases=("Dataset", "IterableDataset", "LightningDataModule"),
            promises=("load_dataset", "prepare_data", "make_loader"),
        ),
        Signal(
            "data.use",
            methods=(("__len__", "__getitem__"),),
            functions=("load_data", "load_jsonl", "read_jsonl", "iter_jsonl", "get_batch"),
            outside=(
                "MutableMapping",
                "Mapping",
                "dict",
                "OrderedDict",
                "UserDict",
                "list",
                "Module",
                "Cache",
            ),
            linked=("model.use", "train.step", "tok.use"),
        ),
        Signal(
            "data.order",
            keywords=(
                ("DataLoader", "generator"),
                ("*", "random_state"),
                (r"shuffle|split", "seed"),
                ("*", "sampler"),
            ),
            calls=(
                *("numpy.random.default_rng", "numpy.random.PCG64", "numpy.random.Philox", "random.Random"),
                # Their samplers are seeded by the arguments of training.
                *("transformers.Trainer", "transformers.Seq2SeqTrainer", "trl.*Trainer"),
            ),
            functions=("seeded_shuffle", "permute", "rows_of_step", "shuffled"),
        ),
        Signal(
            "data.split",
            calls=("train_test_split", "*.train_test_split", "random_split", "KFold", "GroupKFold"),
            functions=("split_indices", "train_val_test_split", "split_by_group", "assign_split"),
            names=("val_data", "held_out", "eval_dataset", "val_dataset"),
        ),
        Signal(
            "data.split",
            read=("validation", "held_out"),
            # A split that is asked for by its name.
            arguments=(
                (r"(open|load|read|get|split|evaluate|score)", r"^'(val|valid|validation|test|held_out)'$"),
            ),
            linked=("data.use",),
        ),
        Signal(
            "data.digest",
            calls=("hashlib.sha256", "hashlib.sha1", "hashlib.md5", "hashlib.blake2b", "hashlib.file_digest"),
            names=("_fingerprint",),
            linked=("data.use",),
        ),
    ),
    needs=(
        Need(
            "use", ("data.use",), "no data is loaded", "there is nothing to learn from", "read a dataset", 5
        ),
        Need(
            "order",
            ("data.order",),
            "the order of samples hangs on no seed",
            "no run sees the same data twice",
            "give the loader a seeded generator",
            4,
            without=("unseeded-loader",),
        ),
        Need(
            "split",
            ("data.split",),
            "no split is made",
            "training data leak into figures",
            "split by group, deterministically",
            4,
        ),
        Need(
            "digest",
            ("data.digest",),
            "data are not known by digest",
            "a changed file changes results unseen",
            "hash the dataset and keep the digest with the run",
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the data code",
            "splits and order change unseen",
            "test that two runs give the same order and split",
        ),
    ),
)
