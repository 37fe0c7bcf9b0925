"""The bytes of a file that may be compressed; a file that is cut off is an error, not an early end."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from codex_ml.core.optional import require
from codex_ml.data.sources.common import unreadable
from codex_ml.errors import DataError

_READ = 1 << 16


@contextmanager
def open_binary(path: Path, *, name: str) -> Iterator[IO[bytes]]:
    """The bytes of *path*, decompressed for .gz and .zst, in constant memory.

    Raises DataError, also while reading, for a file that is cut off or damaged.
    """
    try:
        with path.open("rb") as raw:
            yield _decompressed(raw, suffix=path.suffix)
    except EOFError as error:
        raise truncated(name, error) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(name, error) from error
    except OSError as error:
        if error.errno is not None:
            raise unreadable(path, error) from error
        # Arrow's own errors carry no number.
        raise (truncated if "Truncated" in str(error) else _damaged)(name, error) from error


def _decompressed(raw: IO[bytes], *, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if suffix == ".zst":
        # The reader of the package zstandard takes a cut for the end; Arrow's does not.
        stream = require("pyarrow", extra="train").CompressedInputStream(raw, "zstd")
        return cast("IO[bytes]", io.BufferedReader(stream, _READ))
    return raw


def truncated(name: str, error: BaseException) -> DataError:
    return DataError(
        f"{name} ends too early",
        code="data.truncated",
        got=error,
        next_step="copy or download the file again; data.on_error=skip keeps what could be read",
    )


def _damaged(name: str, error: BaseException) -> DataError:
    return DataError(
        f"{name} does not decompress",
        code="data.unreadable",
        got=error,
        next_step="copy or download the file again; data.on_error=skip keeps what could be read",
    )
