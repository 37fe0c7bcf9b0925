"""Whether this machine can reproduce a run, and what would differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from codex_ml.config.schema import RunConfig
from codex_ml.config.validate import decode_saved
from codex_ml.core.optional import require
from codex_ml.core.paths import Home
from codex_ml.errors import ConfigError, MissingExtraError
from codex_ml.provenance.env_compare import compare_environments
from codex_ml.provenance.environment import capture_env, source_digest
from codex_ml.provenance.facts import latest_provenance
from codex_ml.provenance.run_directory import RunDirectory

#: bitwise: nothing that can change a bit differs. statistical: it runs, and other bits may come out.
Verdict = Literal["bitwise", "statistical", "no"]
#: What a resolved run says of the machine and may change a bit; threads and workers are the call's own.
_RESOLVED = ("device", "device_name", "dtype", "cpu_capability", "torch_build", "python", "threads")


@dataclass(frozen=True)
class EnvCheck:
    """*missing* is what the run needs and this machine lacks, *different* what can change its bits.

    *recorded* differs and computes nothing; a lock file that changed stands there by its name.
    """

    run: str
    verdict: Verdict
    grade: str
    missing: list[str]
    different: list[str]
    recorded: list[str]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether the run comes out here as it would where it was made."""
        return not self.missing and not self.different

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check_environment(directory: RunDirectory, *, home: Home) -> EnvCheck:
    """Compare this machine, installation and store with what the run's last start recorded.

    Settles this process (threads, deterministic kernels) as the run's config says. Where the run's step
    was compiled, a test compilation is made. Raises UsageError and IntegrityError as reading a run does.
    """
    record = directory.read()
    config = decode_saved(record["config"])
    missing, notes = _inputs(record, config, home)
    different: list[str] = []
    try:
        require("torch", extra="train")
    except MissingExtraError as error:
        missing.append(error.what)
    else:
        lacks, differs = _resolved(record, config, home)
        missing += lacks
        different += differs
    if source_digest() != record["inputs"]["code"]:
        different.append(f"code of codex_ml: {record['inputs']['code'][:12]} -> {source_digest()[:12]}")
    rows = compare_environments(latest_provenance(record)["environment"], capture_env(home.runs))
    different += [row.line() for row in rows if row.effect == "bits" and row.key not in _SAID]
    grade = str(record["resolved"]["grade"])
    if grade == "statistical":
        notes.append(f"the run itself promises no equal bits: {', '.join(record['resolved']['lowered_by'])}")
    if (workers := int(record["resolved"]["workers"])) > 1 and config.runtime.determinism == "exact":
        notes.append(f"reproduce it under torchrun with {workers} workers")
    lowered = bool(different) or grade == "statistical"
    return EnvCheck(
        run=directory.name,
        verdict="no" if missing else "statistical" if lowered else "bitwise",
        grade=grade,
        missing=missing,
        different=different,
        recorded=[row.line() for row in rows if row.effect == "recorded"],
        notes=notes,
    )


#: Facts that the identity or the resolved run holds too: named once.
_SAID = frozenset(
    ("codex_ml.source_sha256", "cpu.name", "torch.version", "torch.cpu_capability", "python.version")
)


def _resolved(record: dict[str, Any], config: RunConfig, home: Home) -> tuple[list[str], list[str]]:
    """What of the resolved run is not to be had here, and what would be another."""
    from codex_ml.provenance.determinism import apply_determinism
    from codex_ml.training.resolve import compiler_failure, resolve, resolve_threads

    old = record["resolved"]
    report = apply_determinism(
        mode=config.runtime.determinism, threads=resolve_threads(config), compile_cache=home.compile_cache
    )
    try:
        # Compilation is tried below: here "auto" must not decide anew.
        now = resolve(config, vocab_size=int(record["inputs"]["vocab_size"]), before=False).as_dict()
    except ConfigError as error:
        return [error.what], []
    failure = compiler_failure(str(now["device"])) if old["compile"] else None
    missing = [f"the run was compiled, and no compiler works here: {failure}"] if failure else []
    if old["device"].startswith("cuda") and not str(now["device"]).startswith("cuda"):
        missing.append(f"the device {old['device']} ({old['device_name']})")
    different = [f"{key}: {old[key]} -> {now[key]}" for key in _RESOLVED if old[key] != now[key]]
    return missing, [
        *different,
        *(f"set here: {text}" for text in report.lowered_by if text not in old["lowered_by"]),
    ]


def _inputs(record: dict[str, Any], config: RunConfig, home: Home) -> tuple[list[str], list[str]]:
    """Which inputs are neither in the store nor to be read again, and which would be built anew."""
    missing, notes = [], []
    rows = "datasets" if config.data.format == "text" else "samples"
    named = (
        Path(config.data.path).expanduser() if config.data.path and "://" not in config.data.path else None
    )
    for kind, name in ((rows, "dataset"), ("tokenizers", "tokenizer")):
        digest = str(record["inputs"][name])
        if (home.store / kind / digest).is_dir():
            continue
        if named is not None and not named.exists():
            missing.append(f"the {name} {digest[:12]}: it is not in this store, and {named} is not there")
        else:
            notes.append(f"the {name} {digest[:12]} is not in this store and is built again")
    if config.model.path and not Path(config.model.path).expanduser().exists():
        missing.append(f"the base model {config.model.path}")
    return missing, notes
