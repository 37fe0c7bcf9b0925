"""Recompute every hash that a run rests on. Offline, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.checkpointing.layout import STATE
from codex_ml.checkpointing.listing import behind, dangling, rows
from codex_ml.core.digest import digest_json
from codex_ml.core.paths import Home
from codex_ml.core.publish import MANIFEST, read_json, verify_directory
from codex_ml.errors import CodexError, IntegrityError, UsageError
from codex_ml.modeling.pretrained_files import inspect_directory
from codex_ml.provenance.environment import source_digest
from codex_ml.provenance.facts import latest_provenance
from codex_ml.provenance.packages import libraries, lock_digests
from codex_ml.provenance.run_directory import OWN_DIGEST, RunDirectory
from codex_ml.training.journal import journal_heads

_LIBRARY = "libraries."
MODEL_DIGEST = "weights_sha256"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. *fault* is None where it is good; *note* says what was not covered."""

    what: str
    fault: str | None = None
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify_run(directory: RunDirectory, *, home: Home) -> list[Check]:
    """Every check of one run, in the order of its making.

    Raises UsageError when there is no run, or when a process is changing it.
    """
    if directory.busy():
        raise UsageError(
            f"another process is working on the run '{directory.name}'",
            code="run.locked",
            next_step="wait until it is at rest; `codex-ml checkpoint verify` looks at its checkpoints",
        )
    try:
        record = directory.read()
    except IntegrityError as error:
        return [Check("run.json", error.line())]
    own = list(_manifest(record))
    if own[0].fault:  # nothing that it says can be relied on
        return own
    return [
        *own,
        *_inputs(record, home),
        *_base(record),
        *_journal_and_checkpoints(directory, record),
        *_files(directory, record),
        *_export(directory, record),
        *_around(record),
    ]


def _manifest(record: dict[str, Any]) -> Iterator[Check]:
    bare = {name: value for name, value in record.items() if name != OWN_DIGEST}
    good = digest_json(bare) == record.get(OWN_DIGEST)
    yield Check("run.json", None if good else "it has other content than its own digest")
    same = digest_json(record["identity"]) == record["identity_sha256"]
    yield Check("identity", None if same else "the digest is not that of the identity")


def _inputs(record: dict[str, Any], home: Home) -> Iterator[Check]:
    rows = "datasets" if record["config"]["data"].get("format", "text") == "text" else "samples"
    for kind, name in ((rows, "dataset"), ("tokenizers", "tokenizer")):
        path = home.store / kind / str(record["inputs"][name])
        if path.is_dir():
            yield _directory(f"{name} {path.name[:12]}", path)
        else:
            yield Check(f"{name} {path.name[:12]}", note="not in this store; the same command rebuilds it")


def _base(record: dict[str, Any]) -> Iterator[Check]:
    """The pretrained weights under a fine-tuned run, where they still lie."""
    wanted = record["inputs"].get("base_weights")
    if wanted is None:
        return
    what, path = f"base weights {wanted[:12]}", Path(record["config"]["model"]["path"]).expanduser()
    if not path.is_dir():
        yield Check(what, note=f"{path} is not there; the checkpoints need it, the export does not")
        return
    try:
        files = inspect_directory(path)
    except (CodexError, OSError) as error:
        yield Check(what, str(error))
        return
    found = files.weights_sha256
    if found != wanted:
        yield Check(what, f"{path} holds other weights: {found[:12]}")
    elif digest_json(files.config) != record["inputs"]["base_config"]:
        yield Check(what, f"{path} has another config.json than when the run began")
    else:
        yield Check(what)


def _around(record: dict[str, Any]) -> Iterator[Check]:
    """Code, libraries and lock files of this place that are not the run's: told, for nothing is damaged."""
    code = record["inputs"]["code"]
    if (here := source_digest()) != code:
        yield Check("code", note=f"the installed codex_ml is other code: {code[:12]} -> {here[:12]}")
    then = {key: text for key, text in record["inputs"].items() if key.startswith(_LIBRARY)}
    now = libraries(pretrained=record["inputs"].get("base_weights") is not None) if then else {}
    for key, text in then.items():
        name = key.removeprefix(_LIBRARY)
        if now.get(name) != text:
            yield Check(
                f"library {name}", note=f"another one is installed: {text} -> {now.get(name, 'none')}"
            )
    locks = (latest_provenance(record).get("environment") or {}).get("locks") or {}
    for name, digest in lock_digests(Path.cwd()).items():
        if locks.get(name) not in (None, digest):
            yield Check(
                f"lock {name}", note=f"it has changed since the run: {locks[name][:12]} -> {digest[:12]}"
            )


def _directory(what: str, path: Path) -> Check:
    try:
        verify_directory(path)
    except (CodexError, OSError) as error:
        return Check(what, str(error))
    return Check(what)


def _journal_and_checkpoints(directory: RunDirectory, record: dict[str, Any]) -> Iterator[Check]:
    heads: dict[int, tuple[str, int]] = {0: ("", 0)}
    fault = None
    try:
        if directory.journal.exists():
            heads |= journal_heads(directory.journal)
    except CodexError as error:
        fault = error.line()
    yield Check(f"journal ({len(heads) - 1:,} steps)", fault)
    found = rows(directory.checkpoints, verify=True, owner={"run_id": str(record["run_id"])})
    for row in found:
        yield Check(f"checkpoints/{row.name}", row.fault or _joined(row.path, heads))
    for text in dangling(directory.checkpoints):
        yield Check("pointer", text)
    if late := behind(directory.checkpoints):
        # A run at rest has moved it; an interrupted one does when it goes on.
        yield Check("pointer", late) if "files" in record else Check("pointer", note=late)
    result = record.get("result")
    if result:
        digests = {row.weights_sha256 for row in found}
        good = result[MODEL_DIGEST] in digests
        yield Check("result", None if good else "its weights are those of no checkpoint of this run")


def _joined(path: Path, heads: dict[int, tuple[str, int]]) -> str | None:
    """A checkpoint must continue the journal; None when it does."""
    state = read_json(path / STATE)
    if heads.get(state["step"]) != (state["journal_head"], state["journal_bytes"]):
        return f"the journal at step {state['step']} is not the one that it continues"
    return None


def _files(directory: RunDirectory, record: dict[str, Any]) -> Iterator[Check]:
    sealed = record.get("files")
    if sealed is None:
        note = "the run is not at rest (interrupted or in progress): metrics and reports are not bound yet"
        yield Check("files", note=note)
        return
    present = directory.loose_files()
    for name in sorted({*sealed, *present}):
        if sealed.get(name) == present.get(name):
            yield Check(name)
        elif name not in sealed:
            yield Check(name, note="made after the run came to rest, and bound to nothing yet")
        else:
            yield Check(name, "it has other bytes than its sha256" if name in present else "it is missing")


def _export(directory: RunDirectory, record: dict[str, Any]) -> Iterator[Check]:
    if not directory.export.is_dir():
        if record.get("result"):
            yield Check("export", "it is missing")
        return
    check = _directory("export", directory.export)
    if check.fault is None and record.get("result"):
        stored = read_json(directory.export / MANIFEST)
        if stored.get(MODEL_DIGEST) != record["result"][MODEL_DIGEST]:
            check = Check("export", "its weights are not those of the result")
    yield check
