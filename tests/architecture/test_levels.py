"""The order of the packages: each imports only what stands left of it. This list is the one that holds it."""

from __future__ import annotations

import ast

from sources import PACKAGE, Import, files, imports, owner

# `docs/architecture.md` explains the order; levels are parted by lines.
ORDER = (
    *("core", "registry", "config", "provenance"),
    *(
        "tokenization",
        "safety",
        "data",
        "metrics",
        "modeling",
        "objectives",
        "checkpointing",
        "tracking",
        "monitoring",
    ),
    *("generation", "evaluation", "training"),
    *("preference", "serving"),
    *("report", "pipeline", "testing", "cli"),
)
EVERYWHERE = ("errors", "interfaces")  # importable by all
APART = ("audit", "digest", "scaffold")  # import the foundation only; only cli and testing import them
FOUNDATION = ("core", "registry", "config")
ROOTS = ("__init__", "__main__", "configs")  # no code of their own, or the door to cli


def target(found: Import) -> str | None:
    """The package of ours that an import names, or None."""
    parts = found.module.split(".")
    if parts[0] != "codex_ml" or len(parts) < 2 or parts[1].startswith("__"):
        return None
    return parts[1]


def allowed(source: str, wanted: str) -> bool:
    if wanted == source or wanted in EVERYWHERE:
        return not (source == "errors" and wanted == "interfaces")
    if source == "__main__":
        return wanted == "cli"
    if source in EVERYWHERE:
        return False
    if source in APART:
        return wanted in FOUNDATION
    if wanted in APART:
        return source in ("cli", "testing")
    return wanted in ORDER and source in ORDER and ORDER.index(wanted) < ORDER.index(source)


def offences(found: list[Import]) -> list[str]:
    wrong = []
    for one in found:
        wanted, source = target(one), owner(one.file)
        if source == "interfaces" and one.when == "typing":
            continue  # a protocol names the types of others; at run time it knows none of them
        if wanted is not None and not allowed(source, wanted):
            wrong.append(f"{one.where}: {source} may not import {wanted}")
    return wrong


def test_no_package_imports_from_its_right() -> None:
    assert offences([one for path in files() for one in imports(path)]) == []


def test_every_package_has_its_place_in_the_order() -> None:
    known = {*ORDER, *EVERYWHERE, *APART, *ROOTS}
    assert sorted({owner(path) for path in files()} - known) == []


def test_an_upward_import_inside_a_function_is_found_with_file_and_line() -> None:
    module = ast.parse("def f():\n    from codex_ml.training.loop import run\n    return run\n")
    path = PACKAGE / "data" / "planted.py"
    assert offences(imports(path, module=module)) == [f"{path}:2: data may not import training"]


def test_the_package_order_has_a_door_for_plain_submodule_imports() -> None:
    module = ast.parse(
        "import codex_ml.cli\nfrom codex_ml import pipeline, __version__\nimport codex_ml.core.digest\n"
    )
    path = PACKAGE / "data" / "planted.py"
    assert [line.split(": ")[1] for line in offences(imports(path, module=module))] == [
        "data may not import cli",
        "data may not import pipeline",
    ]
