"""`codex-ml model import|inspect|merge|export`: pretrained weights, in and out."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click

from codex_ml.cli.common import Function, Invocation, common_options, need


@click.group("model")
def command() -> None:
    """Pretrained weights: bring them in, look at them, merge an adapter, write them out."""


def _out(kind: str) -> Function:
    option: Function = click.option(
        "--out", required=True, type=click.Path(path_type=Path), help=f"New {kind}; nothing is overwritten."
    )
    return option


def _dtype(meaning: str) -> Function:
    option: Function = click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help=meaning,
    )
    return option


def _start(*modules: str) -> None:
    """Import what is needed, without its bars and advice: our own errors say what matters."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported
    need("train", "torch", "transformers", *modules)
    logging.getLogger("transformers").setLevel(logging.ERROR)


@command.command("import")
@common_options
@_dtype("Of the written weights; auto: as they are, a GGUF file's in float32.")
@_out("directory")
@click.argument("source", type=click.Path(path_type=Path))
def import_(invocation: Invocation, source: Path, out: Path, dtype: str) -> None:
    """Write SOURCE, a GGUF file or Hugging Face directory, as a clean, sealed directory."""
    _start()
    from codex_ml.modeling.export_model import export_merged, require_new
    from codex_ml.modeling.gguf_import import import_gguf
    from codex_ml.modeling.pretrained_files import inspect_directory

    require_new(out)
    if source.suffix == ".gguf":
        need("train", "gguf")
        import_gguf(source, out, dtype="float32" if dtype == "auto" else dtype)
    else:
        export_merged(source, None, out, dtype=dtype, home=invocation.home)
    files = inspect_directory(out)
    record = {
        "directory": str(out),
        "family": files.family,
        "parameters": files.parameters,
        "weights_sha256": files.weights_sha256,
    }
    invocation.emit(record, f"{out}: {files.family}, {files.parameters:,} parameters")


@command.command("inspect")
@common_options
@click.argument("directory")
def inspect(invocation: Invocation, directory: str) -> None:
    """Verify the model in DIRECTORY and say what it is and how it would run here."""
    _start()
    from codex_ml.modeling.describe import describe

    facts = describe(directory, home=invocation.home)
    invocation.emit(facts, "\n".join(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    dtypes = ", ".join(f"{name} {count:,}" for name, count in facts["dtypes"].items())
    tokens = "no tokenizer.json" if facts["tokenizer_size"] is None else f"{facts['tokenizer_size']:,} tokens"
    template = "a chat template" if facts["chat_template"] else "no chat template"
    memory = {name: f"{value / 1e9:.2f} GB" for name, value in facts["memory"].items()}
    rows = {
        "family": facts["family"],
        "parameters": f"{facts['parameters']:,} ({dtypes})",
        "files": f"{len(facts['shards'])} of weights, {facts['weights_bytes'] / 1e9:.2f} GB",
        "weights": facts["weights_sha256"][:16] + (", manifest verified" if facts["sealed"] else ""),
        "tokenizer": f"{tokens}, {template}; {facts['vocab_size']:,} rows in the embedding",
        "device": f"{facts['device']} ({facts['device_reason']})",
        "dtype": f"{facts['dtype']} ({facts['dtype_reason']})",
        "targets": ", ".join(facts["lora_targets"]),
        "memory": f"{memory['load']} loaded; before activations {memory['train_lora']} to train an adapter"
        f" of rank {facts['memory']['lora_rank']}, {memory['train_all']} to train all",
    }
    return [facts["directory"], *(f"  {name:<12}{text}" for name, text in rows.items())]


@command.command("merge")
@common_options
@_dtype("Of the merged weights; auto: the base's.")
@_out("directory")
@click.argument("base")
@click.argument("adapter", type=click.Path(path_type=Path))
def merge(invocation: Invocation, base: str, adapter: Path, out: Path, dtype: str) -> None:
    """Write BASE with ADAPTER inside its weights; the result is proved to compute the same."""
    _export_merged(invocation, base, adapter, out, dtype=dtype)


def _export_merged(invocation: Invocation, base: str, adapter: Path | None, out: Path, *, dtype: str) -> None:
    _start("peft")
    from codex_ml.modeling.export_model import export_merged

    report = export_merged(base, adapter, out, dtype=dtype, home=invocation.home)
    text = f"{out}: {report.dtype}"
    if adapter is not None:
        text += (
            f"; the adapter moves logits by {report.effect:.3g} of the largest,"
            f" the merge by {report.drift:.3g}, its rounding by {report.rounding:.3g}"
        )
    invocation.emit({"directory": str(out), **vars(report)}, text)


@command.command("export")
@common_options
@click.option("--format", "form", required=True, type=click.Choice(["merged", "adapter", "gguf"]))
@click.option("--adapter", type=click.Path(path_type=Path), help="Adapter trained on BASE.")
@_dtype("Of the written weights; auto: the base's, for gguf float16.")
@_out("directory, or file for gguf")
@click.argument("base")
def export(invocation: Invocation, base: str, form: str, adapter: Path | None, out: Path, dtype: str) -> None:
    """Write BASE, with --adapter if given, for other programs."""
    if form == "merged":
        _export_merged(invocation, base, adapter, out, dtype=dtype)
    elif form == "adapter":
        _export_adapter(invocation, base, adapter, out)
    else:
        _export_gguf(invocation, base, adapter, out, dtype="float16" if dtype == "auto" else dtype)


def _export_adapter(invocation: Invocation, base: str, adapter: Path | None, out: Path) -> None:
    _start("peft")
    from codex_ml.modeling.export_model import export_adapter

    if adapter is None:
        raise click.UsageError("--format adapter needs --adapter DIR")
    digest = export_adapter(base, adapter, out, home=invocation.home)
    invocation.emit(
        {"directory": str(out), "base_weights_sha256": digest}, f"{out}: for weights {digest[:12]}"
    )


def _export_gguf(invocation: Invocation, base: str, adapter: Path | None, out: Path, *, dtype: str) -> None:
    _start("gguf")
    from tempfile import TemporaryDirectory

    from codex_ml.modeling.codex_model_loader import locate
    from codex_ml.modeling.export_gguf import export_gguf
    from codex_ml.modeling.export_model import export_merged, require_new

    require_new(out)
    directory = locate(base, home=invocation.home)
    if adapter is None:
        facts = export_gguf(directory, out, dtype=dtype)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".tmp-", dir=out.parent) as folder:
            export_merged(directory, adapter, Path(folder) / "merged", dtype="float32")
            facts = export_gguf(Path(folder) / "merged", out, dtype=dtype)
    size, digest = f"{facts['size'] / 1e6:,.1f} MB", facts["sha256"][:12]
    invocation.emit(
        {"file": str(out), **facts}, f"{out}: {size}, sha256 {digest}, logits {facts['drift']:.3g} apart"
    )
