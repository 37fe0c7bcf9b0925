"""The data of a run as Croissant 1.1 (MLCommons, https://docs.mlcommons.org/croissant/): JSON-LD.

Every file of the prepared text is named with its sha256, the sources that it was made from likewise, so that
what the description claims can be checked against bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codex_ml.core.publish import MANIFEST, read_json, write_json
from codex_ml.pipeline.run_data import RunData
from codex_ml.safety.licences import UNKNOWN

VERSION = "http://mlcommons.org/croissant/1.1"
_KINDS = {"s": "sc:Text", "i": "sc:Integer"}
_JSON_TERMS = {
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
}
_TERMS = (
    "citeAs column extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath key "
    "md5 parentField path recordSet references regex repeated replace separator source subField transform"
)


def context() -> dict[str, Any]:
    """The terms that a description of this version uses."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "dct": "http://purl.org/dc/terms/",
        "prov": "http://www.w3.org/ns/prov#",
        "sc": "https://schema.org/",
        "conformsTo": "dct:conformsTo",
        **{term: f"cr:{term}" for term in _TERMS.split()},
        **_JSON_TERMS,
    }


def write_croissant(path: Path, data: RunData) -> None:
    """Describe the data of a run in the new file *path*; files of the store are named relative to it."""
    write_json(path, describe(data, beside=path.parent))


def describe(data: RunData, *, beside: Path) -> dict[str, Any]:
    """The description; contents are found from the folder *beside*."""
    files = list(_files(data))
    licences = [name for name in data.licences if name != UNKNOWN]
    return {
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": f"{data.run}-data",
        "description": f"What the run '{data.run}' was trained on: {data.documents:,} documents, "
        f"{data.tokens:,} tokens, from the source {data.source}. Merkle root of the source files: "
        f"{data.merkle_root}.",
        "version": f"1.0.0+{data.dataset[:12]}",
        "datePublished": datetime.fromtimestamp(data.created, tz=UTC).date().isoformat(),
        "url": f"urn:sha256:{data.dataset}",
        "license": licences or [UNKNOWN],
        "isLiveDataset": False,
        "distribution": [_file_object(file, sha256, beside) for file, sha256 in files],
        "recordSet": [_record_set(file, data.columns) for file, _ in files],
        "prov:wasDerivedFrom": [
            {
                "@type": "sc:DigitalDocument",
                "name": item["path"],
                "sc:sha256": item["sha256"],
                "contentSize": f"{item['size']} B",
            }
            for item in data.inputs
        ],
    }


def _files(data: RunData) -> Iterator[tuple[Path, str]]:
    """The tables of documents or samples, with their digests from the manifest that was verified."""
    stored = read_json(data.directory / MANIFEST)["files"]
    for name in sorted(stored):
        if name.endswith(".parquet") and name != "dropped.parquet":
            yield data.directory / name, str(stored[name]["sha256"])


def _file_object(file: Path, sha256: str, beside: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": Path(os.path.relpath(file, beside)).as_posix(),
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": sha256,
    }


def _record_set(file: Path, columns: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": file.stem,
        "name": file.stem,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{file.stem}/{column}",
                "name": column,
                "dataType": _KINDS[kind],
                "source": {"fileObject": {"@id": file.name}, "extract": {"column": column}},
            }
            for column, kind in columns.items()
        ],
    }
