"""Write ``report.html``: gather the parts, fill the template, publish the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.core.publish import write_file
from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.errors import IntegrityError
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report import composition, curves, figures, samples, settings, system
from codex_ml.report.facts import RunFacts, read_facts

TEMPLATES = Path(__file__).parent / "templates"


def write_report(directory: RunDirectory, *, dataset: DatasetRef | SamplesRef) -> Path:
    """Write the page of the run in *directory*, which was trained on *dataset*; returns its path.

    The page holds no link outside itself and no script, and follows from its inputs byte for byte: no
    date of writing, no path of the directory. What the run does not have yet is said on the page.
    Raises UsageError when there is no run, IntegrityError when it was trained on another dataset,
    MissingExtraError without the extra ``report``, StorageError when it cannot be written.
    """
    run = read_facts(directory)
    _check_dataset(run, dataset)
    write_file(directory.report, render("page.html.j2", _context(run, dataset=dataset)))
    return directory.report


def _check_dataset(run: RunFacts, dataset: DatasetRef | SamplesRef) -> None:
    """A page that shows other data than the run was trained on would be a lie."""
    trained_on = run.record["inputs"]["dataset"]
    if trained_on != dataset.digest:
        raise IntegrityError(
            f"the run '{run.name}' was trained on another dataset",
            code="report.dataset",
            got=dataset.digest,
            wanted=trained_on,
            next_step="prepare the dataset of this run with the code and the config that it was trained with",
        )


def _context(run: RunFacts, *, dataset: DatasetRef | SamplesRef) -> dict[str, Any]:
    """All that the template shows, under the names it uses."""
    data = composition.composition(dataset)
    compression, verdict = figures.compression(run)
    return {
        "name": run.name,
        "header": figures.header(run),
        "missing": figures.missing(run),
        "cards": figures.cards(run),
        "compression": compression,
        "verdict": verdict,
        "evaluations": figures.evaluations(run),
        "charts": curves.curves(run),
        "validation": figures.validation_points(run),
        "data": data,
        "samples": samples.samples(run, language=data.language),
        "samples_file": run.samples_file,
        "asked_and_ran": settings.asked_and_ran(run),
        "config": settings.config_sections(run),
        "stages": settings.stage_times(run),
        "machine": settings.machine(run),
        "packages": settings.packages(run),
        "digests": settings.digests(run, dataset=dataset),
        "segments": settings.segments(run),
        "system": system.system_charts(run),
        "grade": settings.grade(run),
        "lineage": settings.lineage(run),
    }


def render(template: str, context: dict[str, Any]) -> str:
    """*template* of this package with *context*; what a page would hide is made visible."""
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return str(environment.get_template(template).render(context))


#: Controls, surrogates, and marks that reorder text: they would hide or forge what a reader sees.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def visible(value: Any) -> Any:
    """*value* with every character that a page would not show, or could not hold, made visible."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _UNSEEN.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", value)
