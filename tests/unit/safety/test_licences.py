from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.safety.licences import is_licence_file, licence_above, licence_of, stated_in

MIT = """MIT License

Copyright (c) 2020

Permission is hereby granted, free of charge, to any person obtaining
a copy of this software … The above copyright notice and this permission
notice shall be included in all copies … THE SOFTWARE IS PROVIDED "AS IS", …
"""
BSD = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided … Redistributions in binary form must
reproduce the above copyright notice …
"""
ISC = """Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted"""
ISC_REST = ", provided that the above copyright notice and this permission notice appear in all copies."
GPL_3 = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n"


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("# SPDX-License-Identifier: Apache-2.0\nimport os\n", "Apache-2.0"),
        ("/* SPDX-License-Identifier: GPL-2.0-or-later */\nint a;", "GPL-2.0-or-later"),
        ("#!/bin/sh\n# SPDX-License-Identifier: (MIT OR Apache-2.0)\n", "(MIT OR Apache-2.0)"),
        ("<!-- SPDX-License-Identifier: BSD-3-Clause -->", "BSD-3-Clause"),
        ("# licensed under the MIT licence\n", None),
        ("import os\n" * 600 + "# SPDX-License-Identifier: MIT\n", None),
        ("", None),
    ],
)
def test_only_an_spdx_line_near_the_start_counts(text: str, stated: str | None) -> None:
    assert stated_in(text) == stated


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        ("Apache License\n  Version 2.0, January 2004\n …", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", "GPL-3.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", "LGPL-3.0"),
        (f"{BSD} Neither the name of X nor the names of its contributors …", "BSD-3-Clause"),
        (BSD, "BSD-2-Clause"),
        (ISC + ISC_REST, "ISC"),
        (ISC, None),
        (f"{GPL_3}{'x ' * 3000}GNU Lesser General Public License", "GPL-3.0"),
        ("Proprietary, all rights reserved. " * 90 + f"Third parties: {BSD}", None),
        ("You may do what you like on Tuesdays.", None),
    ],
)
def test_a_licence_text_is_known_by_its_words(text: str, name: str | None) -> None:
    assert licence_of(text) == name


def test_licence_files_are_known_by_name() -> None:
    assert all(
        is_licence_file(name) for name in ("LICENSE", "a/LICENCE.txt", "COPYING", "license.md", "LICENSE-MIT")
    )
    assert not any(is_licence_file(name) for name in ("licenses.py", "mylicense", "copyings.txt"))


def test_the_nearest_licence_file_counts_and_one_that_is_unknown_hides_those_above(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(MIT, encoding="utf-8")
    inner = tmp_path / "vendored" / "deep"
    inner.mkdir(parents=True)
    assert licence_above(tmp_path, "vendored/deep/a.py") == ("MIT", tmp_path / "LICENSE")
    (tmp_path / "vendored" / "COPYING").write_text("All rights are mine.", encoding="utf-8")
    assert licence_above(tmp_path, "vendored/deep/a.py") is None
    assert licence_above(tmp_path, "b.py") == ("MIT", tmp_path / "LICENSE")
    assert licence_above(inner, "a.py") is None


def test_two_licence_files_that_disagree_state_nothing(tmp_path: Path) -> None:
    (tmp_path / "LICENSE-MIT").write_text(MIT, encoding="utf-8")
    assert licence_above(tmp_path, "a.py") == ("MIT", tmp_path / "LICENSE-MIT")
    (tmp_path / "LICENSE-APACHE").write_text("Apache License\nVersion 2.0, January 2004", encoding="utf-8")
    assert licence_above(tmp_path, "a.py") is None
