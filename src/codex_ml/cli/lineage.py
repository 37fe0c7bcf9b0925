"""`codex-ml lineage`: from a step to its documents, and from a document to the runs that saw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex_ml.cli.common import Invocation, common_options, need

if TYPE_CHECKING:
    from codex_ml.pipeline.inheritance import Sighting


@click.command("lineage")
@common_options
@click.argument("run", required=False)
@click.option("--step", type=click.IntRange(1), help="The documents in the batch of this optimizer step.")
@click.option("--document", metavar="SHA256|PATH", help="Where a document was seen, in all runs here.")
@click.option("--croissant", type=click.Path(path_type=Path), help="Write the data of RUN as Croissant 1.1.")
def command(
    invocation: Invocation, run: str | None, step: int | None, document: str | None, croissant: Path | None
) -> None:
    """Follow data into a run, or a document into everything that descends from it."""
    from codex_ml.errors import UsageError

    need("train", "pyarrow", "pyarrow.parquet")
    if document is not None and run is None and step is None and croissant is None:
        _document(invocation, document)
    elif run is not None and document is None:
        _run(invocation, run, step, croissant)
    else:
        raise UsageError(
            "lineage needs a run, or --document alone",
            code="usage",
            next_step="codex-ml lineage RUN [--step N], or codex-ml lineage --document SHA256",
        )


def _run(invocation: Invocation, name: str, step: int | None, croissant: Path | None) -> None:
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, name)
    if step is None:
        from codex_ml.pipeline.run_data import run_data

        found = run_data(directory, home=invocation.home)
        lines = [f"{key:<22}{value}" for key, value in found.lines()]
        if croissant is not None:
            from codex_ml.pipeline.croissant import write_croissant

            write_croissant(croissant, found)
            lines.append(f"{'croissant':<22}{croissant}")
        written = None if croissant is None else str(croissant)
        invocation.emit({**found.as_dict(), "croissant": written}, "\n".join(lines))
        return
    from codex_ml.pipeline.lineage import step_documents

    documents = step_documents(directory, step=step, home=invocation.home)
    lines = [f"{'licence':<16}{'rows':<20}{'sha256':<14}path"]
    for row in documents:
        rows = ",".join(map(str, row.rows))
        lines.append(f"{row.licence:<16}{rows:<20}{row.sha256[:12]:<14}{row.path}")
    lines.append(f"{len(documents)} documents; the journal of the run names this very batch")
    record = {"run": directory.name, "step": step, "documents": [row.as_dict() for row in documents]}
    invocation.emit(record, "\n".join(lines))


def _document(invocation: Invocation, document: str) -> None:
    from codex_ml.pipeline.descent import sightings

    found = sightings(invocation.home, document=document)
    record = {"document": document, "runs": [seen.as_dict() for seen in found]}
    invocation.emit(record, "\n".join(_table(found)))


def _table(found: Sequence[Sighting]) -> list[str]:
    """A line for each sighting, under columns as wide as the longest names."""
    wide = max((len(seen.run) for seen in found), default=0)
    return [_told(seen, wide) for seen in found]


def _told(seen: Sighting, wide: int) -> str:
    what = seen.detail
    if seen.state == "trained":
        shown = ", ".join(map(str, seen.steps[:8])) + (" …" if len(seen.steps) > 8 else "")
        what = f"{seen.epochs:.2f} times, in {len(seen.steps)} steps: {shown}"
    elif seen.state == "inherited":
        what = f"through {seen.through}"
    export = f"; export: {seen.export}" if seen.export else ""
    return f"{seen.run:<{wide}}  {seen.state:<11}{seen.sha256[:12]:<14}{seen.document}  {what}{export}"
