"""What can go wrong with a chat template, each as an error that names the template and the sample."""

from __future__ import annotations

from codex_ml.errors import DataError

#: Bytes that the process which renders may take.
MEMORY = 1 << 30


def at(place: str | None) -> str:
    """Where it happened, to stand in a sentence."""
    return "" if place is None else f" at {place}"


def crashed(name: str, place: str | None, status: int | None) -> DataError:
    """The process that renders ended by itself."""
    return DataError(
        f"the process that renders the chat template {name} ended{at(place)}",
        code="template.crashed",
        got=f"exit {status}",
        next_step="run the same command again; if it ends at the same place, give data.template=FILE",
    )


def timeout(name: str, place: str | None, seconds: float) -> DataError:
    """The process that renders gave no answer and was killed."""
    return DataError(
        f"the chat template {name} does not end{at(place)}",
        code="template.timeout",
        got=f"no text after {seconds:g} seconds",
        next_step="give another template: data.template=FILE",
    )


def _syntax(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} does not parse{at}",
        code="template.syntax",
        got=message,
        next_step="mend it, or give another: data.template=FILE",
    )


def _security(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} leaves its sandbox{at}",
        code="template.security",
        got=message,
        wanted="a template that reads messages and writes text",
        next_step="do not trust where it came from; give another: data.template=FILE",
    )


def _raised(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} refuses the conversation{at}",
        code="template.refused",
        got=message,
        next_step="mend the sample, or set data.on_error=skip to leave such samples out",
    )


def _failed(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} fails{at}",
        code="template.error",
        got=message,
        next_step="mend the sample or the template, or set data.on_error=skip to leave such samples out",
    )


def _size(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} writes too much{at}",
        code="template.size",
        got=message,
        next_step="give another template: data.template=FILE",
    )


def _memory(name: str, at: str, _message: str) -> DataError:
    return DataError(
        f"the chat template {name} takes too much memory{at}",
        code="template.memory",
        wanted=f"at most {MEMORY >> 20} MiB",
        next_step="give another template: data.template=FILE",
    )


def _time(name: str, at: str, _message: str) -> DataError:
    return DataError(
        f"the chat template {name} asks for the time{at}, so the data would differ from day to day",
        code="template.time",
        got="strftime_now",
        next_step="copy it, write a fixed date in it, and give it: data.template=FILE",
    )


def _generation(name: str, at: str, message: str) -> DataError:
    return DataError(
        f"the chat template {name} writes an answer where it cannot be told apart{at}",
        code="template.generation",
        got=message,
        wanted="{% generation %} outside of macros, set blocks and other generation blocks",
        next_step="mend it, or give another: data.template=FILE",
    )


#: Kind that the process that renders gives -> the error, from the template's name, `at` and the message.
FAILURES = {
    "syntax": _syntax,
    "security": _security,
    "raised": _raised,
    "error": _failed,
    "size": _size,
    "memory": _memory,
    "time": _time,
    "generation": _generation,
}
