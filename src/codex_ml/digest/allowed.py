"""What a command of a plan may be: programs, sub-commands and options on exact lists, places within roots.

make, nox and pytest run the repository's own code, and nothing here keeps them from it. The lists keep a plan
from giving them, or codex-ml, other code: a file from elsewhere, a plugin, a variable, a configuration.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codex_ml.errors import UsageError

_META = re.compile(r"[;&|<>$`\\*?~!\n\r\0]")
_MOST_CHARACTERS = 16_384
_PLACE, _TEXT = "place", "text"
#: Forms of values and arguments that are neither a place within the roots nor any text.
_FORMS = {
    "name": re.compile(r"[A-Za-z][\w.-]*"),
    "session": re.compile(r"[A-Za-z0-9][\w.-]*(?:\([^()]*\))?"),  # nox: tests-3.12(torch='2.6')
    "target": re.compile(r"[\w./%+,:-]+"),  # make: without "=", for that sets a variable
    "off": re.compile(r"no:[\w.-]+"),  # pytest: a plugin that is left out
    "number": re.compile(r"\d+"),
}


@dataclass(frozen=True, slots=True)
class Program:
    """The first words of a command, and what may follow them."""

    words: tuple[str, ...]
    flags: frozenset[str] = frozenset()
    values: Mapping[str, str] | None = None  # options with a value, and the form of that
    argument: str = ""  # the form of the other words; none may stand where it is empty
    free: bool = False  # the user allowed it: anything may follow


def _program(words: str, flags: str, argument: str, **values: str) -> Program:
    options = {option: form for form, options in values.items() for option in options.split()}
    return Program(tuple(words.split()), frozenset(flags.split()), options, argument)


_PYTEST = {
    "flags": (
        "-q -v -x -l -s --quiet --verbose --exitfirst --showlocals --lf --last-failed --ff --failed-first "
        "--sw --stepwise --co --collect-only --no-header --no-summary --strict-markers --strict-config "
        "--runxfail --setup-show --no-cov --cov"
    ),
    "text": "-k -m -r -n --numprocesses --dist --maxfail --durations --tb --color --timeout",
    "place": "--cov --ignore --deselect",
    "off": "-p",
}
_COMMON = "--json --quiet -q"
#: What the program of the repository does then is its own.
ALLOWED: tuple[Program, ...] = (
    _program("pytest", argument=_PLACE, **_PYTEST),
    _program("python -m pytest", argument=_PLACE, **_PYTEST),
    _program(
        "nox",
        "-l --list -r -R --reuse-existing-virtualenvs -x --stop-on-first-error -v --verbose --no-color",
        "session",
        session="-s --session --sessions -e -p --python --pythons",
        text="-k --keywords -t --tags",
    ),
    _program(
        "make",
        "-k --keep-going -s --silent --quiet -n --dry-run -B --always-make -j --jobs --no-print-directory",
        "target",
        number="-j --jobs",
        place="-C --directory",
    ),
    _program(
        "ruff check",
        "--fix --diff --no-cache --preview --statistics --show-fixes -q --quiet",
        _PLACE,
        text="--select --ignore --extend-select --output-format --target-version",
        place="--exclude",
    ),
    _program(
        "ruff format", "--check --diff --no-cache --preview -q --quiet", _PLACE, text="--target-version"
    ),
    _program(
        "mypy",
        "--strict --pretty --show-error-codes --ignore-missing-imports --namespace-packages "
        "--explicit-package-bases --no-incremental --no-error-summary -v",
        _PLACE,
        text="--python-version --follow-imports --enable-error-code --disable-error-code",
        name="-p --package -m --module",
    ),
    _program("git apply --check", "", _PLACE),
    _program(
        "codex-ml audit",
        _COMMON,
        _PLACE,
        text="--apply --since --date --format --fail-on --gone --require",
    ),
    _program("codex-ml errors ls", f"--open --resolved {_COMMON}", ""),
    _program("codex-ml errors show", _COMMON, "name"),
    _program("codex-ml scaffold", f"--dry-run --check {_COMMON}", "name", place="--dir"),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What may run, where, and for how long (seconds for one command). *roots*: places beside *cwd*."""

    allowed: tuple[Program, ...] = ALLOWED
    timeout: float = 600.0
    cwd: Path = Path()
    roots: tuple[Path, ...] = ()

    @staticmethod
    def with_more(words: Sequence[str], *, timeout: float, cwd: Path, roots: tuple[Path, ...] = ()) -> Rules:
        """The list and what the caller adds to it, as ``--allow "tox -e"``. Raises UsageError."""
        more = tuple(tuple(word.split()) for word in words)
        for row in more:
            if not row or _META.search(" ".join(row)):
                raise UsageError(
                    "--allow needs the first words of a command",
                    code="digest.allow",
                    got=" ".join(row) or "nothing",
                    wanted="words without signs of the shell",
                    next_step='such as --allow tox, or --allow "python -m build"',
                )
        own = tuple(Program(row, free=True) for row in more)
        return Rules((*own, *ALLOWED), timeout, cwd, roots)

    def within(self, place: str) -> bool:
        """Whether *place* lies in the working directory or one of the roots, links followed."""
        path = (self.cwd / place).resolve()
        return any(path.is_relative_to(root.resolve()) for root in (self.cwd, *self.roots))


def argv_of(command: str, rules: Rules) -> list[str] | str:
    """The words of *command*, or why it may not run."""
    if len(command) > _MOST_CHARACTERS:
        return f"refused: a command of {len(command)} characters"
    if found := _META.search(command):
        return f"refused: {found[0]!r} is a sign of the shell, and there is no shell"
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"refused: {error}"
    for program in rules.allowed:
        rest = words[len(program.words) :]
        if tuple(words[: len(program.words)]) == program.words:
            why = None if program.free else _refusal(program, rest, rules)
            return words if why is None else f"refused: {why}; --allow can allow it"
    return "skipped: not on the list of programs that may run (--allow adds one)"


def _refusal(program: Program, rest: Sequence[str], rules: Rules) -> str | None:
    """Why *program* may not be given the words *rest*."""
    name = " ".join(program.words)
    option, form = "", None
    for word in rest:
        value: str | None = word
        if form is None:
            option, form = "", program.argument
            if word.startswith("-"):
                option = word.partition("=")[0]
                answer = _option(program, word)
                if answer is None:
                    return f"{name} may not be given {option}"
                form, value = answer
        if form is None or value is None:
            continue  # a flag, or an option whose value is the next word
        if not _fits(form, value, rules):
            return f"{name} may not be given {f'{option} ' if option else ''}{value}"
        form = None
    return f"{option} has no value" if form is not None else None


def _option(program: Program, word: str) -> tuple[str | None, str | None] | None:
    """Form and value of an option, None where unknown. No form: a flag; no value: the next word is it."""
    values = program.values or {}
    if word in program.flags:
        return None, None
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return (values[name], value if equals else None) if name in values else None
    for at in range(1, len(word)):  # -qx, -n4
        letter = f"-{word[at]}"
        if letter in values and (word[at + 1 :] or letter not in program.flags):
            return values[letter], word[at + 1 :] or None
        if letter not in program.flags:
            return None
    return (None, None) if len(word) > 1 else None


def _fits(form: str, value: str, rules: Rules) -> bool:
    if not value or value.startswith(("-", "@")):  # an option in place of a value, a file of arguments
        return False
    if form == _PLACE:
        return rules.within(value.partition("::")[0])
    return form == _TEXT or (form in _FORMS and _FORMS[form].fullmatch(value) is not None)
