"""The process that renders chat templates: untrusted Jinja, sandboxed, with limits of time and memory.

Reads JSON lines, one list of jobs each, and answers one line per job, so that whoever waits knows which
job does not end. Only `renderer` starts it.
"""

from __future__ import annotations

import json
import resource
from typing import IO, Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

_FOREIGN = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)


class Raised(TemplateError):
    """The template itself refuses the conversation, by ``raise_exception``."""


class TooLong(Exception):
    """The text grows beyond the limit."""


class Generation(Extension):
    """``{% generation %}…{% endgeneration %}``: notes which characters the block wrote."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.written = 0
        self.blocks: list[tuple[int, str]] = []

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller: Any) -> str:
        text = str(caller())
        self.blocks.append((self.written, text))
        return text


class Sandbox(ImmutableSandboxedEnvironment):
    """Raises at once for what jinja2 would only raise for when it is used further."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        raise SecurityError(f"it reaches for '{attribute}' of a {type(obj).__name__}")


class PlainNamespace(Namespace):
    """No underscore names, which would reach into the interpreter."""

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise SecurityError(f"it stores '{name}' in a namespace")
        super().__setitem__(name, value)


class PlainDict:
    """``dict(…)`` without the attributes of the type."""

    def __call__(self, *args: Any, **names: Any) -> dict[Any, Any]:
        return dict(*args, **names)


def environment() -> Sandbox:
    """Set up as transformers does. ``strftime_now`` is absent: what asks for the time cannot be repeated."""
    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = _to_json
    made.globals |= {"raise_exception": _raise, "dict": PlainDict(), "namespace": PlainNamespace}
    return made


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes HTML characters.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: object) -> None:
    raise Raised(str(message))


class Worker:
    """One compiled template."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.most: int = setup["most"]
        self.seconds: int = setup["seconds"]
        self.special: dict[str, str] = setup["special"]
        made = environment()
        parsed = made.parse(setup["template"])
        for node in parsed.find_all(_FOREIGN):
            raise SecurityError(f"it loads another template, in line {node.lineno}")
        generation = made.extensions[Generation.identifier]
        assert isinstance(generation, Generation)
        self.generation = generation
        self.marks_answers = any(
            isinstance(call.call.node, nodes.ExtensionAttribute)
            and call.call.node.identifier == Generation.identifier
            for call in parsed.find_all(nodes.CallBlock)
        )
        self.template = made.from_string(setup["template"])

    def render(self, job: dict[str, Any]) -> dict[str, Any]:
        """The text and the character spans of its generation blocks, or which kind of error."""
        # If whoever started this process is killed, a template that loops still ends.
        spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 2 * self.seconds + 5, hard))
        try:
            return self._render(job)
        except Exception as error:  # noqa: BLE001 - whatever a template does is told to the parent
            return failure(error)

    def _render(self, job: dict[str, Any]) -> dict[str, Any]:
        tracker, pieces = self.generation, []
        tracker.written, tracker.blocks = 0, []
        for piece in self.template.generate(
            **self.special,
            messages=job["messages"],
            tools=job["tools"],
            documents=None,
            add_generation_prompt=job["prompt"],
        ):
            pieces.append(piece)
            tracker.written += len(piece)
            if tracker.written > self.most:
                raise TooLong(f"more than {self.most} characters")
        text = "".join(pieces)
        spans = [(start, start + len(block)) for start, block in tracker.blocks]
        if any(text[slice(*span)] != block for span, (_, block) in zip(spans, tracker.blocks, strict=True)):
            return {"kind": "generation", "message": "the text of a generation block is not where it began"}
        return {"text": text, "spans": spans}


def failure(error: BaseException) -> dict[str, str]:
    """What went wrong, as a kind that `renderer` knows."""
    kind = "error"
    for kinds, name in (
        (SecurityError, "security"),
        (TemplateSyntaxError, "syntax"),
        (Raised, "raised"),
        (TooLong, "size"),
        (MemoryError, "memory"),
    ):
        if isinstance(error, kinds):
            kind = name
            break
    message = str(error) or type(error).__name__
    if isinstance(error, TemplateSyntaxError):
        message = f"{error.message}, in line {error.lineno}"
    if "'strftime_now' is undefined" in message:
        kind = "time"
    return {"kind": kind, "message": message}


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The first line sets up, every other is a list of jobs."""

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()

    setup = json.loads(requests.readline())
    _limit_memory(setup["memory"])
    try:
        worker = Worker(setup)
    except Exception as error:  # noqa: BLE001 - as above
        answer(failure(error))
        return
    answer({"generation": worker.marks_answers})
    for line in requests:
        for job in json.loads(line):
            answer(worker.render(job))


def _limit_memory(most: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    with open(0, "rb", closefd=False) as requests, open(1, "wb", closefd=False) as answers:
        serve(requests, answers)
