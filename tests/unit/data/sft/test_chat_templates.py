"""Templates are found, rendered in a process of their own, and cannot harm."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from codex_ml.data.sft.renderer import Job, Rendered, Renderer
from codex_ml.data.sft.template import ChatTemplate, find_template
from codex_ml.errors import CodexError, ConfigError, DataError

pytestmark = pytest.mark.needs("train")
MESSAGES = [{"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": "Yo"}]


def chat(text: str, **special: str) -> ChatTemplate:
    return ChatTemplate("data.template=x.jinja", text, special)


def render(text: str, messages: list[Any] | None = None, **special: str) -> Rendered:
    with Renderer(chat(text, **special)) as renderer:
        (found,) = renderer.render([Job("a.jsonl:1", messages or MESSAGES)])
    if isinstance(found, DataError):
        raise found
    return found


def refused(text: str, *, seconds: int = 10, most: int = 1 << 24) -> DataError:
    with pytest.raises(DataError) as caught, Renderer(chat(text), seconds=seconds, most=most) as renderer:
        (found,) = renderer.render([Job("a.jsonl:1", MESSAGES)])
        assert isinstance(found, DataError)
        raise found
    error = caught.value
    assert "data.template=x.jinja" in error.what
    assert "\n" not in error.line()
    assert error.next_step
    return error


def test_a_template_is_rendered_as_transformers_does(kit: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    loops = "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m | tojson }}"
    loops += "{% endfor %}"
    names = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
        "{{ ns.n }}{{ dict(a=1) | tojson(indent=2) }}{{ eos_token }}"
    )
    blocks = (
        "   {% if messages %}\n  x\n   {% endif %}\ny {{ tools is none }}{{ messages[0].content | tojson }}"
    )
    for number, template in enumerate((kit.chatml, kit.marked, loops, names, blocks)):
        directory = kit.tokenizer(tmp_path / str(number), template=template)
        theirs = AutoTokenizer.from_pretrained(directory).apply_chat_template(MESSAGES, tokenize=False)
        found = find_template(None, tokenizer=directory)
        assert found is not None
        assert render(found.text, **found.special).text == theirs


def test_spans_are_the_text_of_the_generation_blocks(kit: Any) -> None:
    found = render(kit.marked, [*MESSAGES, *MESSAGES])
    assert [found.text[start:stop] for start, stop in found.spans] == ["Yo<|im_end|>", "Yo<|im_end|>"]
    with Renderer(chat(kit.marked)) as renderer:
        assert renderer.marks_answers
    with Renderer(chat(kit.chatml)) as renderer:
        assert not renderer.marks_answers


def test_one_process_renders_many_conversations_in_order(kit: Any) -> None:
    jobs = [Job(f"a:{n}", [{"role": "user", "content": str(n)}], prompt=bool(n % 2)) for n in range(3000)]
    began = time.monotonic()
    with Renderer(chat(kit.chatml)) as renderer:
        found = renderer.render(jobs)
        assert renderer.render([]) == []
    assert time.monotonic() - began < 30
    texts = [one.text for one in found if isinstance(one, Rendered)]
    end = "<|im_start|>assistant\n"
    assert texts == [f"<|im_start|>user\n{n}<|im_end|>\n{end if n % 2 else ''}" for n in range(3000)]


def test_a_conversation_that_the_template_refuses_leaves_the_others() -> None:
    template = "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}ok"
    template += "{{ messages[0].x.y }}"
    good = [{"role": "user", "content": "", "x": {"y": 1}}]
    with Renderer(chat(template)) as renderer:
        first, second, third = renderer.render(
            [Job("a:1", good), Job("a:2", MESSAGES), Job("a:3", MESSAGES[:1])]
        )
    assert isinstance(first, Rendered) and first.text == "ok1"
    assert isinstance(second, DataError) and second.code == "template.refused"
    assert second.got == "one turn only" and "a:2" in second.what
    assert isinstance(third, DataError) and third.code == "template.error"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ (messages | map(attribute='__class__') | list) }}",
        "{{ messages | attr('__class__') }}",
        "{{ messages.append(1) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{% import 'os' as os %}x",
        "{% from 'os' import system %}x",
        "{% include '/etc/passwd' %}",
        "{% extends 'base' %}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(template: str) -> None:
    assert refused(template).code == "template.security"


def test_a_template_that_does_not_end_is_killed_at_the_deadline() -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    began = time.monotonic()
    error = refused(loop, seconds=1)
    assert time.monotonic() - began < 20
    assert error.code == "template.timeout"
    assert "a.jsonl:1" in error.what


def test_the_conversation_at_which_it_hangs_is_named() -> None:
    template = (
        "{% if messages[0].content == 'bad' %}{% for a in range(99999) %}{% for b in range(99999) %}"
        "{% endfor %}{% endfor %}{% endif %}ok"
    )
    jobs = [Job(f"a:{n}", [{"role": "user", "content": "bad" if n == 7 else "good"}]) for n in range(20)]
    renderer = Renderer(chat(template), seconds=1)
    with pytest.raises(DataError) as caught:
        renderer.render(jobs)
    assert "a:7" in caught.value.what
    assert renderer._process.poll() is not None  # nothing is left running
    renderer.close()


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{% for m in messages %}", "template.syntax"),
        ("{{ 'x' * 100000 }}", "template.size"),
        ("{{ ('x' * 1000000) * 10000 }}", "template.memory"),
        ("{{ strftime_now('%Y') }}", "template.time"),
        (
            "{% macro m() %}a{% generation %}b{% endgeneration %}{% endmacro %}xyz{{ m() }}",
            "template.generation",
        ),
        ("{% generation %}x", "template.syntax"),
        ("{{ 1 / 0 }}", "template.error"),
        ("{{ nothing.at.all }}", "template.error"),
    ],
)
def test_what_a_template_does_wrong_is_named(template: str, code: str) -> None:
    assert refused(template, most=50_000).code == code


def test_a_template_with_another_date_at_hand_is_fine() -> None:
    text = "{% if strftime_now is defined %}{{ strftime_now('%d') }}{% else %}26 Jul 2024{% endif %}"
    assert render(text).text == "26 Jul 2024"


def test_a_process_that_ends_by_itself_is_a_clear_error(kit: Any) -> None:
    renderer = Renderer(chat(kit.chatml))
    renderer._process.kill()
    renderer._process.wait()
    with pytest.raises(DataError) as caught:
        renderer.render([Job("a:1", MESSAGES)])
    assert caught.value.code == "template.crashed"


def test_a_renderer_leaves_no_process_and_no_open_pipe(kit: Any) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with Renderer(chat(kit.chatml)) as renderer:
            process = renderer._process
        assert process.returncode == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_of_the_current_directory_is_no_module_of_ours(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit('loaded from the current directory')")
    monkeypatch.chdir(tmp_path)
    assert render(kit.chatml).text


def test_the_order_in_which_a_template_is_looked_for(kit: Any, tmp_path: Path) -> None:
    directory = kit.tokenizer(tmp_path / "t", template=None)
    assert find_template(None, tokenizer=directory) is None
    settings = json.loads((directory / "tokenizer_config.json").read_text())

    def found(given: str | None = None) -> str:
        template = find_template(given, tokenizer=directory)
        assert template is not None
        return template.text

    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "from a list"}]
    for value, wanted in (("from a string", "from a string"), (named, "from a list")):
        (directory / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": value}))
        assert found() == wanted
    (directory / "chat_template.jinja").write_text("from the file")
    assert found() == "from the file"
    (tmp_path / "own.jinja").write_text("\ufeffmine")
    assert found(str(tmp_path / "own.jinja")) == "mine"


@pytest.mark.parametrize("value", [[{"name": "tool_use", "template": "x"}], 7])
def test_templates_without_a_default_are_refused(kit: Any, tmp_path: Path, value: Any) -> None:
    directory = kit.tokenizer(tmp_path / "t", template=None, chat_template=value)
    with pytest.raises(ConfigError) as caught:
        find_template(None, tokenizer=directory)
    assert caught.value.code == "template.unreadable"


def test_a_template_file_that_cannot_be_read_is_refused(kit: Any, tmp_path: Path) -> None:
    directory = kit.tokenizer(tmp_path / "t")
    (tmp_path / "bytes.jinja").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "absent.jinja", tmp_path / "bytes.jinja"):
        with pytest.raises(CodexError) as caught:
            find_template(str(path), tokenizer=directory)
        assert caught.value.code == "template.unreadable"


def test_a_looping_worker_dies_with_its_cpu_limit_when_nobody_waits(kit: Any) -> None:
    import sys

    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    setup = {"template": loop, "special": {}, "seconds": -2, "most": 100, "memory": 1 << 30}
    job = [{"messages": [], "tools": None, "prompt": False}]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codex_ml.data.sft.render_worker"],
        input=f"{json.dumps(setup)}\n{json.dumps(job)}\n".encode(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode < 0
