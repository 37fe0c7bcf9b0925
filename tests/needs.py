"""The marker ``needs("train")``: which tests an extra is for, and that nothing is skipped in silence.

With every extra installed no test may be skipped for a missing package: such a skip is a failure.
``pytest --without-extras`` (used by ``nox -s core``) turns it into a skip that names the extra.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

_SKIPPED_FOR_PACKAGE = re.compile(r"could not import|No module named|not installed", re.IGNORECASE)


def missing(extra: str, *, distribution: str = "codex-ml") -> list[str]:
    """The packages of *extra* that are absent here; nested extras of the project are followed."""
    absent: list[str] = []
    for text in metadata.requires(distribution) or []:
        requirement = Requirement(text)
        if requirement.marker is None or "extra" not in str(requirement.marker):
            continue
        if not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == distribution:
            absent += [name for nested in requirement.extras for name in missing(nested)]
        elif not _present(requirement.name):
            absent.append(requirement.name)
    return sorted(set(absent))


def _present(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def module_needs(path: Path) -> Iterator[str]:
    """The extras in a module's ``pytestmark``, read without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign) or "pytestmark" not in ast.unparse(node.targets[0]):
            continue
        for call in ast.walk(node.value):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("mark.needs"):
                yield from (str(ast.literal_eval(argument)) for argument in call.args)


def reason(extras: list[str]) -> str | None:
    """Why a test that needs *extras* cannot run here; None when it can."""
    for extra in extras:
        if absent := missing(extra):
            return f"needs the extra '{extra}', absent: {', '.join(absent)}"
    return None


class _UnmetModule(pytest.Module):
    """A test module that is reported and not imported."""

    why = ""

    def collect(self) -> list[pytest.Item]:
        if self.config.getoption("without_extras"):
            raise pytest.skip.Exception(self.why, allow_module_level=True)
        raise self.CollectError(f"{self.why} (or pass --without-extras)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-extras",
        action="store_true",
        help="skip tests whose extra is absent, with the reason, instead of failing them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(extra): the test needs the packages of this extra")
    config.addinivalue_line("markers", "slow: longer than five seconds; leave out with -m 'not slow'")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    why = reason(list(module_needs(module_path)))
    if why is None:
        return None
    module = _UnmetModule.from_parent(parent, path=module_path)
    module.why = why
    return module


def pytest_runtest_setup(item: pytest.Item) -> None:
    why = reason([str(extra) for mark in item.iter_markers("needs") for extra in mark.args])
    if why is None:
        return
    if item.config.getoption("without_extras"):
        pytest.skip(why)
    pytest.fail(f"{why} (or pass --without-extras)", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.skipped and not item.config.getoption("without_extras") and not hasattr(report, "wasxfail"):
        text = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
        if _SKIPPED_FOR_PACKAGE.search(text):
            report.outcome = "failed"
            report.longrepr = f"skipped for a missing package, which must not happen here: {text}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if report.skipped and not collector.config.getoption("without_extras"):
        text = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
        if _SKIPPED_FOR_PACKAGE.search(text):
            report.outcome = "failed"
            report.longrepr = f"skipped for a missing package, which must not happen here: {text}"
    return report
