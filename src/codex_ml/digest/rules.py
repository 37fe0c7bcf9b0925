"""What single lines of CI logs say: one table of forms, each with how much it explains."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codex_ml.digest.failures import Rank


@dataclass(frozen=True, slots=True)
class Rule:
    """A form of a line. Groups: ``what`` (the error), ``place``, ``subject`` (what failed)."""

    kind: str
    rank: Rank
    hints: tuple[str, ...]  # one of them stands in every match
    pattern: re.Pattern[str]


def _rules(rank: Rank, *rows: tuple[str, str, str]) -> tuple[Rule, ...]:
    """Rules of one rank from rows of kind, hints (``|`` between them) and pattern."""
    return tuple(Rule(kind, rank, tuple(hints.split("|")), re.compile(form)) for kind, hints, form in rows)


_PLACE = r"(?P<place>(?:[A-Za-z]:)?[^\s:()\"']{1,400}:\d+)(?::\d+)?"
_MAKE = r"g?make(?:\[\d+\])?: \*\*\* "
_SHELL = (
    r"(?:(?:/?(?:[\w.-]+/)*)?(?:ba|z|da|k)?sh(?::| -)|make(?:\[\d+\])?: |env: |(?:cp|mv|cat|rm|cd|ls|tar): )"
)
_SRUN = r"srun: error: \S{1,200}: tasks? [\d,-]{1,100}: "
_SLURM = r"(?:[\w.-]{1,100}: )?(?:error: )?\*\*\* (?:JOB|STEP) \S{1,100} ON \S{1,200} CANCELLED AT \S{1,40}"

#: Where make itself says that a process was killed, nobody else has said it.
_BEFORE = _rules(
    Rank.REAL, ("memory", "*** ", rf"(?P<what>{_MAKE}\[(?:.*?: )?(?P<subject>[^\]:]+)\] Killed.*)")
)
#: Say that something failed before. They come first, for they would match more general forms below.
_SUMMARIES = _rules(
    Rank.SUMMARY,
    (
        "make",
        "*** ",
        rf"(?P<what>{_MAKE}\[(?:.*?: )?(?P<subject>[^\]:]+)\] (?:Error \d+|Terminated).*)",
    ),
    (
        "exit",
        "exit|Exit",
        (
            r"(?P<what>(?:.*\b)?(?:[Pp]rocess completed with )?(?:[Ee]xit(?:ed)? )"
            r"(?:with )?(?:code|status):? [1-9]\d{0,9}\b.*)"
        ),
    ),
    ("exit", "returned non-zero", r"(?P<what>.*returned non-zero exit status [1-9]\d*.*)"),
    (
        "ninja",
        "ninja: |FAILED: ",
        r"(?P<what>ninja: build stopped: .*|FAILED: (?P<subject>\S+\.\w+)\s*(?:\[code=\d+\].*)?$)",
    ),
    ("exit", "srun: error: ", rf"(?P<what>{_SRUN}Terminated.*)"),
    ("linker", "ld returned", r"(?P<what>.*\bld returned \d+ exit status.*)"),
    (
        "build",
        "BUILD FAILED|error: |could not compile",
        (
            r"(?P<what>BUILD FAILED.*|\s*(?:×\s*)?error: (?:command .* failed|metadata-generation-failed"
            r"|subprocess-exited-with-error|could not compile ).*)"
        ),
    ),
    (
        "docker",
        "failed to solve|did not complete success",
        r"(?P<what>.*(?:failed to solve|did not complete successfully).*)",
    ),
    (
        "npm",
        "npm ERR! |npm error ",
        (
            r"(?P<what>npm (?:ERR!|error) (?:code|errno|A complete|path|cwd|syscall|Exit status|Test failed"
            r"|Lifecycle script|Failed at the|This is probably not|command|workspace|location)\b.*)"
        ),
    ),
)
_MACHINE = _rules(
    Rank.REAL,
    (
        "memory",
        "Killed",
        r"(?P<what>(?:.*: line \d+: +)?(?:\d+ )?Killed(?: .*)?$|.*Out of memory: Killed process.*)",
    ),
    (
        "memory",
        "oom-kill|OOMKilled|OOM-killed|oom_kill",
        r"(?P<what>.*(?:oom-kill|OOMKilled|OOM-killed|oom_kill).*)",
    ),
    ("memory", "srun: error: ", rf"(?P<what>{_SRUN}(?:Killed|Out Of Memory).*)"),
    ("memory", "(exitcode: -9)", r"(?P<what>.*\(exitcode: -9\).*)"),
    ("crash", "(exitcode: -", r"(?P<what>.*\(exitcode: -(?:4|6|7|8|11)\).*)"),
    ("timeout", "CANCELLED AT ", rf"(?P<what>{_SLURM} DUE TO TIME LIMIT.*)"),
    ("node", "CANCELLED AT ", rf"(?P<what>{_SLURM} DUE TO NODE FAIL.*)"),
    ("node", "rror: Node failure", r"(?P<what>(?:srun|salloc|sbatch): error: Node failure on .*)"),
    ("preempted", "CANCELLED AT ", rf"(?P<what>{_SLURM} DUE TO PREEMPTION.*)"),
    ("cancelled", "CANCELLED AT ", rf"(?P<what>{_SLURM}.*)"),
    (
        "crash",
        "Fatal Python error",
        (  # behind what pytest prints before and while it runs the tests of a file
            r"(?:(?P<subject>\S{1,300}?\.py(?:::\S{1,300})?) )?[.FEsxXpP]{0,500}"
            r"(?P<what>Fatal Python error: .*)"
        ),
    ),
    (
        "crash",
        "egmentation fault|SIGSEGV|SIGABRT|core dumped",
        r"(?P<what>.*(?:[Ss]egmentation fault|SIGSEGV|SIGABRT|\(core dumped\)).*)",
    ),
    ("timeout", "Terminated", r"(?P<what>Terminated)$"),
    ("disk", "left on device", r"(?P<what>.*[Nn]o space left on device.*)"),
    (
        "timeout",
        "imed out|exceeded the maximum|operation was cancel",
        (
            r"(?P<what>.*(?:has exceeded the maximum execution time|(?:job|step|command|build|test) timed out"
            r"|[Tt]imed out after|The operation was cancell?ed).*)"
        ),
    ),
)
_TOOLS = _rules(
    Rank.REAL,
    (
        "pip",
        "ERROR: ",
        (
            r"(?P<what>ERROR: (?:Could not find a version that satisfies|No matching distribution|"
            r"Cannot install .* conflicting dependencies|ResolutionImpossible|Failed building wheel for|"
            r"Failed to build ).*)"
        ),
    ),
    ("uv", "No solution found", r"(?P<what>\s*[×x] No solution found when resolving.*)"),
    ("npm", "npm ERR!|npm error", r"npm (?:ERR!|error) (?P<what>(?!code|A complete)\S.*)"),
    (
        "mypy",
        ": error: ",
        r"(?P<place>(?P<subject>[^\s:]{1,400}\.pyi?):\d+)(?::\d+)?: error: (?P<what>.*\[[\w-]+\])$",
    ),
    ("compiler", "rror: |rror ", rf"{_PLACE}(?: -|:) (?:fatal )?error:? (?P<what>.*)"),
    (
        "compiler",
        ": error ",
        r"(?P<place>[^\s(]{1,400}\(\d+)(?:,\d+)*\): (?:fatal )?error (?P<what>[A-Z]+\d+.*)",
    ),
    ("compiler", "go:", r"(?:vet: )?(?P<place>[^\s:()\"']{1,400}\.go:\d+):\d+: (?P<what>\S.*)"),
    ("rustc", "error[E", r"(?P<what>error\[E\d+\]: .*)"),
    ("linker", "undefined reference|undefined symbol", r"(?P<what>.*undefined (?:reference to|symbol).*)"),
    ("cmake", "CMake Error", r"(?P<what>CMake Error(?: at (?P<place>[^\s:]+:\d+))?.*)"),
    ("make", "*** No rule", rf"(?P<what>{_MAKE}No rule to make target .*)"),
    ("make", "*** ", rf"(?P<what>{_PLACE}: \*\*\* .*)"),
    (
        "go",
        "--- FAIL: |panic: |panicked at",
        r"(?P<what>\s*--- FAIL: (?P<subject>\S+).*|panic: .*|thread '.*' panicked at .*)",
    ),
    (
        "coverage",
        "Required test coverage|Coverage failure",
        r"(?P<what>(?:FAIL |ERROR: )?Required test coverage .* not reached.*|Coverage failure: .*)",
    ),
    ("doctest", "Failed example", r"(?P<what>Failed example:.*)"),
    ("sphinx", "treated as errors", r"(?P<what>.*warnings? treated as errors.*)"),
    ("java", "Exception in thread", r"(?P<what>Exception in thread .*)"),
    ("git", "fatal: ", r"(?P<what>fatal: .*)"),
    (
        "pytest",
        "crashed while running|node down",
        (
            r"(?:\[gw\d+\] )?"
            r"(?P<what>node down: .*|worker '?gw\d+'? crashed while running '?(?P<subject>[^']+)'?.*)"
        ),
    ),
    (
        "shell",
        "not found|No such file|ermission denied|No module named",
        (
            rf"(?P<what>{_SHELL}.*(?:not found|No such file or directory|[Pp]ermission denied).*"
            r"|[\w./-]+: (?:command )?not found|(?:\S+: )?command not found: \S+|.*: command not found"
            r"|\S*python[\d.]*: (?:can't open file|No module named) .*)$"
        ),
    ),
)
_REPORTS = _rules(
    Rank.REPORTED,
    ("make", "*** ", rf"(?P<what>{_MAKE}.*)"),
    (
        "error",
        "ERROR|FATAL|CRITICAL|rror",
        (
            r"(?P<what>\[?(?:ERROR|FATAL|CRITICAL|Error|error)\]?\s?[:|\]] ?\S.*"
            r"|\[?(?:ERROR|FATAL|CRITICAL)\]? \S.*|(?:[\w./+-]{1,100}: ){1,3}(?:fatal )?error: \S.*"
            r"|(?:\S+ ){1,4}?\[?(?:ERROR|FATAL|CRITICAL)\]?[ :|].*|.*\blevel=(?:error|fatal)\b.*)"
        ),
    ),
    ("error", "rror: |xception: ", r"(?P<what>(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): \S.*)"),
)

#: The first that matches decides.
RULES = (*_BEFORE, *_SUMMARIES, *_MACHINE, *_TOOLS, *_REPORTS)


def match(text: str) -> tuple[Rule, re.Match[str]] | None:
    """The rule that the line *text* answers to, if any."""
    for rule in RULES:
        for hint in rule.hints:
            if hint in text:
                if found := rule.pattern.match(text):
                    return rule, found
                break
    return None
