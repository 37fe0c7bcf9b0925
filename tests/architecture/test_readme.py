"""The README's promises about itself: its length, and a map that names every package and nothing else."""

from __future__ import annotations

import re

from sources import PACKAGE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_file_map_names_every_package_and_each_path_exists() -> None:
    paths = re.findall(r"^\| `([\w/.]+)` \|", README, re.MULTILINE)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    packages = {f"src/codex_ml/{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(paths)


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
