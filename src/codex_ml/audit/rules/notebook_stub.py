"""Notebooks that hold notes to be done instead of work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.read import Cell, read_cells
from codex_ml.audit.rule import Rule
from codex_ml.audit.tree import Unread, read_bytes

_OPEN = re.compile(r"\b(TODO|FIXME|TBD|coming soon|work in progress)\b", re.IGNORECASE)
#: A notebook of at most so many lines of code that says it is not done is one.
_FEW = 10


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for file in index.tree.files:
        data = read_bytes(file) if file.suffix == ".ipynb" else None
        cells = read_cells(file, data) if data is not None else []
        if isinstance(cells, Unread) or data is None:
            continue
        open_cells = [cell for cell in cells if cell.kind != "code" and _OPEN.search(cell.text)]
        if not cells or (open_cells and _code(cells) <= _FEW):
            where = f"{file.path}#cell-{open_cells[0].number}" if open_cells else file.path
            said = "says that it is to be written" if open_cells else "has no cell"
            yield RULE.finding((where, 1), f"the notebook {said}", "fill it or remove it", confidence=5)


def _code(cells: list[Cell]) -> int:
    return sum(1 for cell in cells if cell.kind == "code" for line in cell.text.split("\n") if line.strip())


RULE = Rule("notebook-stub", "low", "Notebook to be written", "An example that is none.", tree=_tree)
