"""`codex-ml generate`: complete a prompt with a run, a checkpoint or an export."""

from __future__ import annotations

import sys

import click

from codex_ml.cli.common import Invocation, common_options, need


@click.command("generate")
@common_options
@click.argument("target")
@click.option("--prompt", required=True, help="Text to complete; - reads standard input.")
@click.option("--chat", is_flag=True, help="Ask the prompt as a question, through the chat template.")
@click.option("--max-tokens", type=click.IntRange(1), default=64, show_default=True)
@click.option("--temperature", type=click.FloatRange(0), default=0.6, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=0.95, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1234, show_default=True)
def command(
    invocation: Invocation,
    target: str,
    prompt: str,
    chat: bool,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> None:
    """Complete a prompt with TARGET: a run, a checkpoint directory or an export directory.

    The same arguments give the same text.
    """
    need("train", "torch")
    from codex_ml.evaluation.complete import complete_text

    text = sys.stdin.read() if prompt == "-" else prompt
    result = complete_text(
        target,
        prompt=text,
        chat=chat,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        home=invocation.home,
    )
    if result["stopped"] == "context":
        invocation.reporter().say("stopped where the model's context is full")
    invocation.emit(result, result["text"] if chat else f"{text}{result['text']}")
