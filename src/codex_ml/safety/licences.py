"""The licence that a text states plainly: an SPDX line of a source file, or a licence file in known words.

Nothing is guessed: what is not said in one of these ways is unknown.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

UNKNOWN = "unknown"
#: How much of a file may stand before its SPDX line.
_HEAD = 4096
_SPDX = re.compile(
    r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{2,120}?)[ \t]*(?:\*/|-->|\"\"\"|$)", re.MULTILINE
)
_NAMES = re.compile(r"^(licen[cs]e|copying)([.-].*)?$", re.IGNORECASE)

#: How many signs of a licence file may stand before the words that name it.
_TITLE = 400
#: SPDX identifier -> words of its title, white space as one blank and in lower case.
_TITLES: dict[str, tuple[str, ...]] = {
    "Apache-2.0": ("apache license", "version 2.0, january 2004"),
    "AGPL-3.0": ("gnu affero general public license", "version 3, 19 november 2007"),
    "LGPL-3.0": ("gnu lesser general public license", "version 3, 29 june 2007"),
    "LGPL-2.1": ("gnu lesser general public license", "version 2.1, february 1999"),
    "GPL-3.0": ("gnu general public license", "version 3, 29 june 2007"),
    "GPL-2.0": ("gnu general public license", "version 2, june 1991"),
    "MPL-2.0": ("mozilla public license version 2.0",),
    "Unlicense": ("this is free and unencumbered software released into the public domain",),
    "CC0-1.0": ("cc0 1.0 universal",),
}
#: SPDX identifier -> words of a licence without a title of its own, which is all that the file may hold.
_BODIES: dict[str, tuple[str, ...]] = {
    "MIT": (
        "permission is hereby granted, free of charge, to any person obtaining a copy",
        "the above copyright notice and this permission notice shall be included in all copies",
        'the software is provided "as is"',
    ),
    "ISC": (
        "permission to use, copy, modify, and/or distribute this software for any purpose",
        "provided that the above copyright notice and this permission notice appear in all copies",
    ),
    "BSD-3-Clause": (
        "redistribution and use in source and binary forms, with or without modification, are permitted",
        "redistributions in binary form must reproduce",
        "neither the name of",
    ),
    "BSD-2-Clause": (
        "redistribution and use in source and binary forms, with or without modification, are permitted",
        "redistributions in binary form must reproduce",
    ),
}
#: What a licence of `_BODIES` may come to with its copyright lines; longer files hold something else, too.
_BODY = 2600
#: Python's own licence file is a history of licences, of which this sentence states the one in force.
_PYTHON = ("python software foundation license version 2", "psf is making python available to licensee")


def stated_in(text: str) -> str | None:
    """The expression of the SPDX line near the start of a source file; None where there is none."""
    found = _SPDX.search(text[:_HEAD])
    return found[1].strip() if found else None


def licence_of(text: str) -> str | None:
    """The SPDX identifier of the licence that *text* is; None for words that are not known.

    Of the GNU licences a text alone does not tell "only" from "or later": their bare names are given.
    """
    plain = " ".join(text.split()).lower()
    for name, words in _TITLES.items():
        if all(word in plain[:_TITLE] for word in words):
            return name
    if all(word in plain for word in _PYTHON):
        return "PSF-2.0"
    if len(plain) <= _BODY:
        return next((name for name, words in _BODIES.items() if all(word in plain for word in words)), None)
    return None


def is_licence_file(name: str) -> bool:
    """LICENSE, LICENCE.txt, COPYING and the like."""
    return _NAMES.match(PurePosixPath(name).name) is not None


def licence_above(root: Path, relative: str) -> tuple[str, Path] | None:
    """Identifier and file of the nearest licence file from the folder of *relative* up to *root*.

    None where there is none, or what the nearest say is not known, or not one thing. Raises OSError as
    reading does.
    """
    folder = root / PurePosixPath(relative).parent
    for place in (folder, *folder.parents):
        if place.is_dir():
            files = sorted(path for path in place.iterdir() if path.is_file() and is_licence_file(path.name))
            if files:
                stated = {licence_of(path.read_text(encoding="utf-8", errors="replace")) for path in files}
                (one,) = stated if len(stated) == 1 else (None,)
                return None if one is None else (one, files[0])
        if place == root:
            return None
    return None
