"""The one door to optional packages: absent and broken are different errors."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from codex_ml.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import *module*, which the extra *extra* installs.

    Raises MissingExtraError naming the extra when that very module is absent, or showing the
    original error when it is installed and fails to import.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not _is_absent(module, error.name):
            raise _broken(module, error, extra) from error
        raise MissingExtraError(
            f"this needs the package '{module.split('.')[0]}', which is not installed",
            code="extra.missing",
            next_step=f'install it with: pip install "codex-ml[{extra}]"',
        ) from error
    except Exception as error:
        raise _broken(module, error, extra) from error


def _is_absent(module: str, missing: str | None) -> bool:
    """Whether *module* is not installed, rather than lacking a part or something that it needs.

    Its top package is missing, or is a mere namespace that others installed too.
    """
    if missing is None or not f"{module}.".startswith(f"{missing}."):
        return False
    top = sys.modules.get(module.split(".")[0])
    return top is None or getattr(top, "__file__", None) is None


def _broken(module: str, error: Exception, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"the package '{module}' is installed and fails to import",
        code="extra.broken",
        got=f"{type(error).__name__}: {error}",
        next_step=f'reinstall it with: pip install --force-reinstall "codex-ml[{extra}]"',
    )
