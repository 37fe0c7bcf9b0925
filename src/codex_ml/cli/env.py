"""`codex-ml env snapshot|diff|check`: what a run stands on besides its config and data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.pipeline.env_check import EnvCheck

_SNAPSHOT = Path("artifacts") / "env_snapshot.json"


@click.group("env")
def command() -> None:
    """The environment: packages, interpreter, machine, accelerators, code."""


@command.command("snapshot")
@common_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=_SNAPSHOT,
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Also write the seven files env_snapshot.json, python_version.txt, pip_freeze.txt, uname.txt, "
    "cpu.txt, env_vars.txt and gpu.csv here.",
)
@click.option("--no-torch", is_flag=True, help="Do not import torch to describe its build.")
@click.option("--with-names", is_flag=True, help="Host, user and home as they are, not as pseudonyms.")
def snapshot(
    invocation: Invocation, out: Path, folder: Path | None, no_torch: bool, with_names: bool
) -> None:
    """Write down the environment and the code of this moment, without secrets."""
    from codex_ml.core.publish import make_directory, write_file, write_json, writing
    from codex_ml.provenance.pseudonyms import pseudonyms
    from codex_ml.provenance.snapshot import recipe_files, take_snapshot

    names = pseudonyms(plain=True if with_names else None)
    found = take_snapshot(invocation.home, names=names, load_torch=not no_torch)
    with writing(out):
        make_directory(out.parent)
    write_json(out, found)
    files = (
        {}
        if folder is None
        else {folder / name: text for name, text in recipe_files(found, names=names).items()}
    )
    for path, text in files.items():
        with writing(path):
            make_directory(path.parent)
        write_file(path, text)
    written = [str(path) for path in (out, *files)]
    invocation.emit(
        {"files": written, **found}, "\n".join(["wrote", *(f"  {path}" for path in written), _main(found)])
    )


def _main(found: dict[str, Any]) -> str:
    """The facts a reader looks for first."""
    environment, code = found["environment"], found["code"]
    torch = environment["torch"] or {"version": "not described"}
    gpus = ", ".join(gpu["name"] for gpu in environment["accelerators"]["gpus"]) or "no GPU"
    commit = code["commit"] or f"without a commit ({code['why'] or 'the repository has none yet'})"
    versions = f"python {environment['python']['version']}, torch {torch.get('version', 'broken')}"
    lines = (
        f"{versions}, {len(environment['packages'])} packages",
        f"{environment['cpu']['name']}, {environment['cpu']['cores']} cores, {gpus}",
        f"code {commit}{' with changes' if code['dirty'] else ''}, source {code['source_sha256'][:12]}",
        f"environment {found['environment_sha256']}",
    )
    return "\n".join(lines)


@command.command("diff")
@common_options
@click.argument("left")
@click.argument("right")
@click.option(
    "--all", "everything", is_flag=True, help="Also what differs at each start, such as the free disk."
)
def diff(invocation: Invocation, left: str, right: str, everything: bool) -> None:
    """Say in what two environments differ: each a run or a file of `env snapshot`."""
    from codex_ml.provenance.env_compare import compare_environments
    from codex_ml.provenance.snapshot import read_code, read_environment

    home = invocation.home
    sides = [
        {**read_environment(name, home=home), "code": read_code(name, home=home)} for name in (left, right)
    ]
    rows = compare_environments(*sides)
    rows = [row for row in rows if everything or row.effect != "moment"]
    lines = [f"{row.effect:<10}{row.line()}" for row in rows] or ["environment and code are equal"]
    record = {"left": left, "right": right, "equal": not rows, "differences": [row.as_dict() for row in rows]}
    invocation.emit(record, "\n".join(lines))


@command.command("check")
@common_options
@click.argument("run")
def check(invocation: Invocation, run: str) -> int:
    """Say whether this machine can reproduce RUN, and what would differ; exit 3 where it cannot.

    bitwise: nothing that can change a bit differs. statistical: it runs, and other bits may come out.
    no: something that the run needs is not here.
    """
    from codex_ml.pipeline.env_check import check_environment
    from codex_ml.provenance.run_directory import find_run

    found = check_environment(find_run(invocation.home.runs, run), home=invocation.home)
    invocation.emit(found.as_dict(), _told(found))
    return 0 if found.ok else 3


def _told(found: EnvCheck) -> str:
    parts = (
        ("missing", found.missing),
        ("differs", found.different),
        ("recorded", found.recorded),
        ("note", found.notes),
    )
    lines = [f"  {name:<10}{text}" for name, texts in parts for text in texts]
    says = {
        "bitwise": "can be reproduced here, bit for bit",
        "statistical": "runs here, and other bits may come out",
        "no": "cannot be reproduced here",
    }
    return "\n".join([*lines, f"{found.run} ({found.grade}) {says[found.verdict]}"])
