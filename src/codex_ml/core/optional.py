"""The one door to optional packages: absent and broken are different errors."""

from __future__ import annotations

import importlib
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
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise _broken(module, error) from error
        raise MissingExtraError(
            f"this needs the package '{module.split('.')[0]}', which is not installed",
            code="extra.missing",
            next_step=f'install it with: pip install "codex-ml[{extra}]"',
        ) from error
    except ImportError as error:
        raise _broken(module, error) from error


def _broken(module: str, error: ImportError) -> MissingExtraError:
    return MissingExtraError(
        f"the package '{module}' is installed and fails to import",
        code="extra.broken",
        got=f"{type(error).__name__}: {error}",
        next_step="reinstall it, or run `codex-ml doctor` to see what is broken",
    )
