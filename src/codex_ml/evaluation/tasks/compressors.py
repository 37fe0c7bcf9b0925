"""Task ``compressors``: what gzip -9 and xz -9 make of the same held-out files, one by one."""

from __future__ import annotations

import gzip
import lzma

from codex_ml.errors import DataError
from codex_ml.evaluation.task import EvalContext, Measured


def evaluate_compressors(context: EvalContext) -> dict[str, Measured]:
    """Bits per byte of each compressor, per file as the model sees them, headers included."""
    total = packed_gzip = packed_xz = files = 0
    for text in context.texts():
        total += len(text)
        packed_gzip += len(gzip.compress(text, compresslevel=9, mtime=0))
        packed_xz += len(lzma.compress(text, preset=9))
        files += 1
        context.reporter.progress(files, context.split.documents, "files compressed")
    if total == 0:
        raise DataError("the split has no bytes to compress", code="eval.empty")
    return {
        "gzip_bits_per_byte": Measured(8 * packed_gzip / total, files),
        "xz_bits_per_byte": Measured(8 * packed_xz / total, files),
    }
