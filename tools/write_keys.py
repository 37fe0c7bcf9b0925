"""Write the table of config keys into docs/configuration.md from the schema."""

from __future__ import annotations

import sys
from pathlib import Path

from codex_ml.config.keys import all_keys

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- keys: begin", "<!-- keys: end -->"


def table() -> str:
    """Every key with type, role and meaning, as Markdown rows."""
    rows = ["| key | type | role | meaning |", "|---|---|---|---|"]
    for key in all_keys().values():
        kind = key.type_name.replace("|", "or")
        limits = ", ".join(limit for limit in key.limits if not limit.startswith("matches"))
        rows.append(f"| `{key.path}` | {kind}{', ' if limits else ''}{limits} | {key.role} | {key.doc} |")
    return "\n".join(rows)


def rewritten(text: str) -> str:
    """The page with a current table."""
    head, _, rest = text.partition(BEGIN)
    marker, _, rest = rest.partition("\n")
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{marker}\n{table()}\n{END}{tail}"


def main() -> int:
    """Rewrite the page; with --check only say whether it is current."""
    text = PAGE.read_text(encoding="utf-8")
    new = rewritten(text)
    if "--check" in sys.argv:
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
