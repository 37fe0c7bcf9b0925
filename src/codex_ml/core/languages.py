"""The language of a file, told by its name."""

from __future__ import annotations

from pathlib import PurePosixPath

OTHER = "other"

#: One visible table: extension -> language. The source ``files`` takes these when no glob is given.
BY_SUFFIX = {
    ".py": "python", ".pyi": "python", ".pyx": "cython", ".ipynb": "notebook",
    ".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hh": "c++", ".hpp": "c++",
    ".cu": "cuda", ".cuh": "cuda", ".m": "objective-c", ".mm": "objective-c",
    ".rs": "rust", ".go": "go", ".zig": "zig", ".swift": "swift", ".dart": "dart",
    ".java": "java", ".kt": "kotlin", ".kts": "kotlin", ".scala": "scala", ".groovy": "groovy",
    ".cs": "c#", ".fs": "f#", ".vb": "visual-basic",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".tsx": "typescript", ".vue": "vue", ".svelte": "svelte",
    ".rb": "ruby", ".php": "php", ".pl": "perl", ".pm": "perl", ".lua": "lua", ".r": "r", ".jl": "julia",
    ".hs": "haskell", ".ml": "ocaml", ".mli": "ocaml", ".ex": "elixir", ".exs": "elixir",
    ".erl": "erlang", ".clj": "clojure", ".lisp": "lisp", ".el": "lisp", ".scm": "scheme",
    ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".fish": "shell",
    ".ps1": "powershell", ".bat": "batch",
    ".sql": "sql", ".html": "html", ".css": "css", ".scss": "css", ".xml": "xml",
    ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini", ".cfg": "ini",
    ".md": "markdown", ".rst": "restructuredtext", ".tex": "tex", ".txt": "text",
    ".proto": "protobuf", ".graphql": "graphql", ".tf": "terraform", ".cmake": "cmake",
    ".asm": "assembly", ".s": "assembly", ".f90": "fortran", ".f": "fortran", ".sol": "solidity",
}  # fmt: skip
BY_NAME = {"makefile": "make", "dockerfile": "docker", "cmakelists.txt": "cmake", "rakefile": "ruby"}


def language(path: str) -> str:
    """The language of the file named *path*, ``other`` when the name tells none."""
    name = PurePosixPath(path).name.lower()
    return BY_NAME.get(name) or BY_SUFFIX.get(PurePosixPath(name).suffix, OTHER)
