"""Records of a source to samples with their split: one shape, duplicates left out, a bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.digest_set import DigestSet
from codex_ml.data.document import Dropped, InputFile, settle
from codex_ml.data.sft.messages import kind_of
from codex_ml.data.sft.sample import Sample
from codex_ml.data.sft.shapes import detect, read_sample
from codex_ml.data.sources.tables import Record
from codex_ml.data.split import assign
from codex_ml.errors import DataError, did_you_mean


class RecordSource(Protocol):
    """A source of whole rows; see `Source`."""

    @property
    def origin(self) -> dict[str, str]: ...
    def inputs(self) -> list[InputFile]: ...
    def records(self) -> Iterator[Record | Dropped]: ...


@dataclass(frozen=True)
class Placed:
    """A sample, where it was read and the split that it belongs to."""

    place: str
    path: str
    group: str
    split: str
    sample: Sample
    bytes: int


@dataclass(frozen=True)
class Left:
    """What was left out; *split* where it is known."""

    dropped: Dropped
    split: str | None = None


class SampleReader:
    """Reads a source once; *format* is what it turned out to be, None before the first sample."""

    def __init__(self, cfg: DataConfig, source: RecordSource) -> None:
        self._cfg = cfg
        self._source = source
        self._seen = DigestSet()
        self.format: str | None = None if cfg.format == "auto" else cfg.format

    def samples(self) -> Iterator[Placed | Left]:
        """Every sample in the order of the source. Raises DataError as ``data.on_error`` says."""
        for record in self._source.records():
            if isinstance(record, Dropped):
                yield Left(record)
                continue
            try:
                found = self._read(record)
            except DataError as error:
                skip = self._cfg.on_error == "skip"
                yield Left(settle(error, skip=skip, id=record.place, path=record.path, size=record.size))
                continue
            yield self._verdict(found) or found

    def _read(self, record: Record) -> Placed:
        if self.format is None:
            self.format = detect(record.cells, place=record.place)
        sample = read_sample(record.cells, shape=self.format, place=record.place)
        group = self._group(record, sample)
        split = assign(group, cfg=self._cfg.split)
        return Placed(record.place, record.path, group, split, sample, sample.size)

    def _group(self, record: Record, sample: Sample) -> str:
        field = self._cfg.group_field
        if field is None:
            return sample.prompt_group()
        value = record.cells.get(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise DataError(
            f"{record.place} names no group in '{field}'",
            code="data.field",
            got=kind_of(value),
            wanted="a text or a number",
            next_step=did_you_mean(field, record.cells) + " (data.group_field)",
        )

    def _verdict(self, found: Placed) -> Left | None:
        """Why a sample is left out, or None when it is kept.

        Raises DataError for one beyond ``data.max_bytes`` with ``data.overlong=error``.
        """
        cfg, size = self._cfg, found.bytes
        reason = ""
        if size < cfg.min_bytes:
            reason, detail = "clean.short", f"{size} bytes, data.min_bytes={cfg.min_bytes}"
        elif size > cfg.max_bytes:
            if cfg.overlong == "error":
                raise DataError(
                    f"{found.place} is too long",
                    code="sample.overlong",
                    got=f"{size} bytes",
                    wanted=f"at most data.max_bytes={cfg.max_bytes}",
                    next_step="make data.max_bytes larger, or set data.overlong=drop to leave it out",
                )
            reason, detail = "clean.long", f"{size} bytes, data.max_bytes={cfg.max_bytes}"
        elif cfg.dedup == "exact" and not self._seen.add(found.sample.digest()):
            reason, detail = "dedup.exact", "same as an earlier sample"
        if not reason:
            return None
        return Left(Dropped(found.place, found.path, size, reason, detail), found.split)
