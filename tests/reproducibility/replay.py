"""A file system in memory that forgets, as after a power cut, what was not flushed.

Records what a process does below one directory, and builds the directory as it may look when the power
goes after the n-th operation: content lost, cut or kept; changes of a directory kept or not, one by one.
"""

from __future__ import annotations

import os
import random
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Node:
    """A file or a directory: what is on the disk and what is only in memory."""

    is_directory: bool
    durable: bytes = b""
    content: bytes = b""
    entries: dict[str, Node] = field(default_factory=dict)
    kept: dict[str, Node] = field(default_factory=dict)
    pending: list[dict[str, Node | None]] = field(default_factory=list)


#: (kind, path, other path or content); a save that has returned is ("saved", its step, None)
Operation = tuple[str, str, Any]


def opened(fd: int) -> str:
    """The path behind a descriptor."""
    return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - no Path inside an audit hook


class Recorder:
    """Collects the operations below *root* that this process makes; one thread at a time."""

    def __init__(self, root: Path) -> None:
        self.root, self.operations = str(root), []
        self._fsync = os.fsync
        self._on = False

    def __enter__(self) -> Recorder:
        self._on = True
        sys.addaudithook(self._hook)  # a hook stays for good; the flag silences it
        os.fsync = self._flush
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False
        os.fsync = self._fsync

    def saved(self, step: int) -> None:
        self.operations.append(("saved", str(step), None))

    def _below(self, path: object) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        text = os.path.abspath(os.fsdecode(os.fspath(path)))  # noqa: PTH100 - no Path inside an audit hook
        return text if text.startswith(self.root) else None

    def _hook(self, event: str, values: tuple[Any, ...]) -> None:
        if not self._on or event not in _EVENTS:
            return
        if event in ("os.remove", "os.rmdir") and values[1] != -1:  # rmtree works relative to a descriptor
            folder = opened(values[1])
            values = (f"{folder}/{os.fsdecode(values[0])}", *values[1:])
        path = self._below(values[0])
        if path is None or (event == "open" and not _writes(values)):
            return
        other = self._below(values[1]) if event == "os.rename" else None
        self.operations.append((event, path, other))

    def _flush(self, fd: int) -> None:
        self._fsync(fd)
        path = self._below(opened(fd))
        if not self._on or path is None:
            return
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        content = None if is_directory else Path(path).read_bytes()
        self.operations.append(("fsync", path, content))


_EVENTS = frozenset({"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"})


def _writes(values: tuple[Any, ...]) -> bool:
    mode, flags = values[1], values[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class Disk:
    """The tree below *root* while operations are played, one after the other."""

    def __init__(self, root: str, finals: dict[str, bytes]) -> None:
        self.root, self.top, self._finals = root, Node(is_directory=True), finals

    def _parts(self, path: str) -> list[str]:
        return [part for part in path[len(self.root) :].split("/") if part]

    def find(self, path: str) -> Node | None:
        node = self.top
        for part in self._parts(path):
            if part not in node.entries:
                return None
            node = node.entries[part]
        return node

    def _parent(self, path: str) -> tuple[Node, str]:
        *folders, name = self._parts(path)
        node = self.top
        for part in folders:
            node = node.entries[part]
        return node, name

    def _change(self, path: str, node: Node | None) -> None:
        parent, name = self._parent(path)
        if node is None:
            parent.entries.pop(name, None)
        else:
            parent.entries[name] = node
        parent.pending.append({name: node})

    def play(self, operation: Operation) -> None:
        kind, path, other = operation
        if kind == "open" and self.find(path) is None:
            self._change(path, Node(is_directory=False, content=self._finals.get(path, b"")))
        elif kind == "os.mkdir" and self.find(path) is None:
            self._change(path, Node(is_directory=True))
        elif kind in ("os.remove", "os.rmdir"):
            self._change(path, None)
        elif kind == "os.rename":
            self._rename(path, other)
        elif kind == "fsync":
            self._flush(path, other)

    def _rename(self, source: str, target: str) -> None:
        node = self.find(source)
        assert node is not None, source
        (left, old), (right, new) = self._parent(source), self._parent(target)
        del left.entries[old]
        right.entries[new] = node
        if left is right:
            left.pending.append({old: None, new: node})  # one rename is there as a whole or not at all
        else:
            left.pending.append({old: None})
            right.pending.append({new: node})

    def _flush(self, path: str, content: bytes | None) -> None:
        node = self.find(path)
        if node is None:
            return
        if content is None:
            node.kept, node.pending = dict(node.entries), []
        else:
            node.durable = node.content = content

    def after_a_power_cut(self, target: Path, fate: Callable[[str], str]) -> None:
        """Build the directory; *fate* says of each unflushed file or change: lost, cut or kept."""
        self._build(self.top, target, fate)

    def _build(self, node: Node, target: Path, fate: Callable[[str], str]) -> None:
        if not node.is_directory:
            target.write_bytes(_content(node, fate("content")))
            return
        target.mkdir()
        entries: dict[str, Node | None] = dict(node.kept)
        for change in node.pending:
            if fate("entry") == "kept":
                entries |= change
        for name, child in entries.items():
            if child is not None:
                self._build(child, target / name, fate)


def _content(node: Node, fate: str) -> bytes:
    if fate == "kept" or node.durable == node.content:
        return node.content
    extra = node.content[len(node.durable) :] if node.content.startswith(node.durable) else b""
    return node.durable + extra[: len(extra) // 2] if fate == "cut" else node.durable


def fates(seed: int) -> dict[str, Callable[[str], str]]:
    """How a power cut may treat what was not flushed."""
    rng = random.Random(seed)
    return {
        "all lost": lambda _: "lost",
        "entries kept, content lost": lambda kind: "kept" if kind == "entry" else "lost",
        "entries kept, content cut": lambda kind: "kept" if kind == "entry" else "cut",
        "entries lost, content kept": lambda kind: "lost" if kind == "entry" else "kept",
        "all kept": lambda _: "kept",
        "any": lambda _: rng.choice(("lost", "cut", "kept")),
        "any other": lambda _: rng.choice(("lost", "kept")),
    }
