"""Check that every link, anchor and file path in the documentation leads somewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
# A path in back quotes counts as a claim about this repository when its first part is one of these.
_FOLDERS = ("src/", "tests/", "docs/", "benchmarks/", "examples/", "deploy/", "tools/", ".ci/")


def documents(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")])


def anchors(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them from headings."""
    titles = re.findall(r"^#{1,6}\s+(.+?)\s*$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def problems(page: Path, root: Path) -> Iterator[str]:
    """One line per dead link or path of *page*."""
    text = page.read_text(encoding="utf-8")
    where = page.relative_to(root)
    for match in _LINK.finditer(_FENCE.sub("", text)):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue  # other sites are not checked: the gate needs no network
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            yield f"{where}: the link {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            yield f"{where}: {target} names a heading that is not there"
    for match in _CODE.finditer(_FENCE.sub("", text)):
        path = match.group(1).split(":")[0]
        if path.startswith(_FOLDERS) and " " not in path and not _exists(root, path):
            yield f"{where}: `{path}` is not in the repository"


def _exists(root: Path, path: str) -> bool:
    if any(sign in path for sign in "<{…"):
        return True  # a pattern for the reader, not a path
    return bool(list(root.glob(path))) if "*" in path else (root / path).exists()


def main(root: Path = ROOT) -> int:
    found = [f"{name} is missing or empty" for name in REQUIRED if not _filled(root / name)]
    pages = documents(root)
    found += [line for page in pages for line in problems(page, root)]
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {len(found)} problems")
    return 1 if found else 0


def _filled(path: Path) -> bool:
    return path.is_file() and bool(path.read_text(encoding="utf-8").strip())


if __name__ == "__main__":
    raise SystemExit(main())
