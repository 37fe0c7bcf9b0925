"""The five items of the reproducibility checklist, written in signals like the capabilities."""

from __future__ import annotations

from dataclasses import dataclass

from codex_ml.audit.capability import Need
from codex_ml.audit.signals import Signal


@dataclass(frozen=True)
class Item:
    """One line of the checklist. *question* is asked when something is needed, *prompt* in the table."""

    id: str
    name: str
    signals: tuple[Signal, ...]
    needs: tuple[Need, ...]
    prompt: str
    question: str


ITEMS = (
    Item(
        "seeds",
        "Seeds",
        signals=(
            Signal(
                "repro.seed",
                calls=(
                    *("torch.manual_seed", "random.seed", "numpy.random.seed", "set_seed", "seed_everything"),
                    *(
                        "transformers.set_seed",
                        # Both seed everything when they are made, by the seed of their arguments.
                        "transformers.Trainer",
                        "transformers.Seq2SeqTrainer",
                        "trl.*Trainer",
                        "tensorflow.random.set_seed",
                        "jax.random.PRNGKey",
                    ),
                ),
                keywords=(("TrainingArguments", "seed"),),
            ),
            Signal(
                "repro.deterministic",
                calls=(
                    "torch.use_deterministic_algorithms",
                    "tensorflow.config.experimental.enable_op_determinism",
                ),
                keywords=(("Trainer", "deterministic"), ("TrainingArguments", "full_determinism")),
                names=("cudnn.deterministic", "deterministic"),
            ),
        ),
        needs=(
            Need(
                "seed",
                ("repro.seed",),
                "set a seed in every entry point",
                "",
                "",
                without=("unseeded-entry",),
            ),
            Need("flags", ("repro.deterministic",), "ask for deterministic algorithms", "", ""),
            Need("tests", ("test.seed",), "a test that two runs of one seed are equal", "", ""),
        ),
        prompt="How do mature ML frameworks guarantee global seeding across distributed jobs?",
        question="Which approaches ensure reproducible seeding across multi-process PyTorch/HF training "
        "pipelines?",
    ),
    Item(
        "environment",
        "Environment capture",
        signals=(
            Signal(
                "repro.environment",
                calls=(
                    "metadata.distributions",
                    "importlib.metadata.distributions",
                    "pkg_resources.working_set",
                ),
                functions=("capture_env", "log_env_info", "env_snapshot", "collect_env"),
            ),
        ),
        needs=(
            Need("lock", ("config.lock",), "a lock file", "", ""),
            Need("hashes", ("config.lock_hashed",), "hashes in the lock file", "", ""),
            Need(
                "capture",
                ("repro.environment",),
                "a snapshot of packages, OS and hardware with each run",
                "",
                "",
            ),
        ),
        prompt="What tooling patterns capture full env state for reproducible ML runs?",
        question="What tools or templates enable automatic snapshotting of Python packages, OS, and hardware "
        "for experiment runs?",
    ),
    Item(
        "code",
        "Code versioning",
        signals=(
            Signal(
                "repro.commit",
                calls=("git.Repo", "dulwich.repo.Repo", "*.rev_parse"),
                functions=(
                    "git_commit",
                    "get_git_commit",
                    "git_sha",
                    "get_commit_hash",
                    "git_tag",
                    "capture_code",
                ),
                made=("commit", "git_commit", "git_sha", "code_sha256"),
            ),
        ),
        needs=(
            Need("git", ("git.head",), "a git repository with a commit", "", ""),
            Need(
                "embedded", ("repro.commit",), "embed commit and dirty flag in checkpoints and logs", "", ""
            ),
        ),
        prompt="What are best practices for recording git metadata alongside experiment outputs?",
        question="How can commit hashes or tags be embedded automatically into model checkpoints and logs?",
    ),
    Item(
        "data",
        "Deterministic data",
        signals=(),
        needs=(
            Need("order", ("data.order",), "a seeded order of samples", "", "", without=("unseeded-loader",)),
            Need("digest", ("data.digest",), "a digest of the dataset with each run", "", ""),
            Need("tests", ("test.data",), "a test that order and split repeat", "", ""),
        ),
        prompt="What strategies ensure dataloader determinism and dataset integrity checks?",
        question="What patterns verify deterministic shuffling and dataset hashing in data loaders?",
    ),
    Item(
        "hardware",
        "Hardware / software stack docs",
        signals=(
            Signal(
                "repro.hardware",
                calls=(
                    "platform.platform",
                    "platform.uname",
                    "cuda.get_device_name",
                    "cuda.get_device_properties",
                ),
                names=("cuda_version",),
                imports=("cpuinfo", "pynvml"),
            ),
        ),
        needs=(
            Need(
                "docs",
                ("docs.hardware",),
                "a page that names the CPU, GPU, driver and library versions",
                "",
                "",
            ),
            Need(
                "reported",
                ("repro.hardware",),
                "kernel, driver and library versions in each run's report",
                "",
                "",
            ),
        ),
        prompt="Which templates or schemas exist for documenting HW/SW stacks in reproducible research?",
        question="Are there existing blueprints for capturing full system specifications (CPU, GPU, drivers, "
        "kernel) within ML experiment reports?",
    ),
)
