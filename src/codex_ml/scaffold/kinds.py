"""What can be scaffolded: for each kind its group of entry points and its templates."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib import resources
from string import Template

from codex_ml.errors import UsageError
from codex_ml.registry.contracts import CONTRACTS

#: Word of the command line -> (kind of the registry, attribute that the entry point names).
KINDS = {
    "tokenizer": ("tokenizers", "$Class"),
    "metric": ("metrics", "$name"),
    "model": ("models", "$Class"),
    "data-source": ("data_sources", "$Class"),
    "reward": ("reward_models", "$Class"),
    "agent": ("rl_agents", "$Class"),
    "tracker": ("trackers", "$Class"),
    "callback": ("callbacks", "$name"),
    "rule": ("audit_rules", "RULE"),
}
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,59}$")


@dataclass(frozen=True)
class Part:
    """One part to be made: *word* of `KINDS`, *name* as it was typed."""

    word: str
    name: str
    package: str

    @property
    def kind(self) -> str:
        return KINDS[self.word][0]

    @property
    def module(self) -> str:
        """Its name as a module: ``my-sink`` is ``my_sink``."""
        return module_name(self.name)

    @property
    def values(self) -> dict[str, str]:
        words = re.split(r"_+", self.module)
        return {
            "name": self.module,
            "Class": "".join(word[:1].upper() + word[1:] for word in words),
            "entry": self.name,
            "package": self.package,
            "kind": self.kind,
            "contract": str(CONTRACTS[self.kind].version),
        }

    @property
    def target(self) -> str:
        attribute = Template(KINDS[self.word][1]).substitute(self.values)
        return f"{self.package}.{self.module}:{attribute}"

    def source(self) -> str:
        return filled(f"{self.word}.py", self.values)

    def test(self) -> str:
        """The conformance kit, and what is special about this kind."""
        kit = filled("conformance_test.py", self.values | {"target": self.target})
        return f"{kit}\n\n{filled(f'{self.word}_test.py', self.values)}"


def module_name(name: str) -> str:
    """*name* as a Python module. Raises UsageError for what cannot be one."""
    found = name.replace("-", "_").lower()
    if not _NAME.match(name) or keyword.iskeyword(found):
        raise UsageError(
            f"'{name}' cannot be the name of a part",
            code="scaffold.name",
            wanted="a letter, then letters, digits, dashes and underscores, no word of Python's",
            next_step="choose another name, such as my-part",
        )
    return found


def filled(template: str, values: dict[str, str]) -> str:
    """A template with its names; a name that is not given is an error."""
    text = (
        resources.files("codex_ml.scaffold")
        .joinpath("templates", f"{template}.txt")
        .read_text(encoding="utf-8")
    )
    return Template(text).substitute(values)
