"""Packages that are imported at the top of a module and declared nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.project import normal
from codex_ml.audit.rule import Rule

#: Module -> distribution, where they differ; those that machine-learning code imports.
_NAMES = {
    "yaml": "pyyaml",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "git": "gitpython",
    "hydra": "hydra-core",
    "pytorch_lightning": "pytorch-lightning",
    "pynvml": "nvidia-ml-py",
    "tensorboardX": "tensorboardx",
    "attr": "attrs",
    "dateutil": "python-dateutil",
    "google": "google",
    "faiss": "faiss-cpu",
    "re2": "google-re2",
}


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    declared = index.project.declared()
    if not declared:
        return
    own = {part for one in index.facts for part in one.path.split("/")[:-1]}
    own |= {one.path.rpartition("/")[2].removesuffix(".py") for one in index.facts}
    told: set[str] = set()
    for facts in index.facts:
        if facts.is_test or facts.path.endswith((".ipynb", "setup.py")):
            continue
        for module, line in sorted(facts.required.items()):
            name = normal(_NAMES.get(module, module))
            if module in told or module in own or module in sys.stdlib_module_names or _has(name, declared):
                continue
            told.add(module)
            yield RULE.finding(
                (facts.path, line),
                f"{module} is imported and not declared",
                f"add {_NAMES.get(module, module)} to the dependencies, or guard the import",
                symbol=module,
                confidence=3,
            )


def _has(name: str, declared: set[str]) -> bool:
    """A distribution often carries its module's name within its own (``mlflow-skinny``, ``nvidia-ml-py``)."""
    return name in declared or any(name in one.split("-") or one.startswith(f"{name}-") for one in declared)


RULE = Rule(
    "undeclared-dependency",
    "medium",
    "Undeclared dependency",
    "A fresh installation fails at the first import.",
    tree=_tree,
)
