"""Draw with matplotlib and give the picture as SVG text that lives inside the page.

The picture takes its colours and its typeface from the page's style sheet, so that one drawing serves
light, dark and paper. It holds no script, link, date or random name: equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from codex_ml.core.optional import require

#: Colours that matplotlib draws with -> what the style sheet makes of them.
PAINTS = {
    "ink": ("#010101", "var(--muted)"),
    "grid": ("#020202", "var(--line)"),
    "one": ("#030303", "var(--series-1)"),
    "two": ("#040404", "var(--series-2)"),
    "bad": ("#050505", "var(--bad)"),
    "three": ("#060606", "var(--series-3)"),
    "four": ("#070707", "var(--series-4)"),
    "five": ("#080808", "var(--series-5)"),
    "six": ("#090909", "var(--series-6)"),
}
_WIDTH, _HEIGHT = 5.6, 2.9


def paint(name: str) -> str:
    """The stand-in that becomes the page's colour *name*."""
    return PAINTS[name][0]


def draw(name: str, fill: Callable[[Any], None], *, labelled_by: str) -> str:
    """A picture named *name* as markup; *fill* draws on its axes, and no text from the data.

    *labelled_by* is the id of the element that describes it. Raises MissingExtraError without the
    extra ``report``.
    """
    matplotlib = require("matplotlib", extra="report")
    figures = require("matplotlib.figure", extra="report")
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
    out = io.StringIO()
    with matplotlib.rc_context({**defaults, **_settings(name)}):
        figure = figures.Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        fill(figure.add_subplot())
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), name=name, labelled_by=labelled_by)


def _settings(name: str) -> dict[str, Any]:
    """No setting of the user's matplotlibrc reaches the page."""
    ink, grid = paint("ink"), paint("grid")
    return {
        "svg.hashsalt": f"codex-ml {name}",
        "svg.fonttype": "none",
        "font.size": 10.0,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": grid,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": grid,
        "grid.linewidth": 0.6,
        "xtick.color": ink,
        "ytick.color": ink,
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
        "legend.labelcolor": ink,
    }


def _inline(text: str, *, name: str, labelled_by: str) -> str:
    """Cut everything that is for a file of its own, and make ids unique in the page."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'font: ([\d.]+)px [^;"]*', r"font-size: \1px", body)
    body = re.sub(r'font-family: [^;"]*;? ?', "", body)
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None
    opening = f'<svg class="chart" viewBox="{view.group(1)}" role="img" aria-labelledby="{labelled_by}">'
    body = re.sub(r"<svg[^>]*>", opening, body, count=1)
    body = body.replace("xlink:href", "href")
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', body))
    body = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(href="|url\()#([\w-]+)', rf"\1#{name}-\2", body)
    for stand_in, colour in PAINTS.values():
        body = body.replace(stand_in, colour)
    return re.sub(r"<[^>]+>", _rounded, re.sub(r"\s*\n\s*", "\n", body)).strip()


def _rounded(tag: re.Match[str]) -> str:
    """A tag with its coordinates to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", tag[0])
