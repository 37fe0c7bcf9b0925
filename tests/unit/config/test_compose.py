from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_ml.config.compose import Composed, compose
from codex_ml.config.groups import configs_directory, group_options
from codex_ml.config.keys import all_keys, flatten, to_dict
from codex_ml.config.validate import decode_saved
from codex_ml.errors import CodexError, ConfigError, NotFoundError

#: Options that are valid only with a path.
PATHS = {f"data={name}": ("data.path=/somewhere",) for name in ("files", "git", "jsonl", "csv", "parquet")}
_TUNED = ("experiment=sft_lora", "model.path=/base", "data.path=/somewhere")
PATHS |= dict.fromkeys(
    ("data=samples", "experiment=sft_lora", "model=pretrained", "objective=sft", "tokenizer=pretrained"),
    _TUNED,
)


def made(*words: str, environ: dict[str, str] | None = None, config_dir: Path | None = None) -> Composed:
    return compose(words, environ=environ or {}, config_dir=config_dir)


def refused(*words: str, **options: Any) -> CodexError:
    with pytest.raises(CodexError) as caught:
        made(*words, **options)
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def mine(tmp_path: Path):
    """Write an own experiment; returns its folder of groups and its file."""

    def write(text: str) -> tuple[Path, Path]:
        file = tmp_path / "experiment" / "mine.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return tmp_path, file

    return write


# ---- precedence and origins ----------------------------------------------------------------------


def test_each_source_wins_over_the_one_before_and_is_named() -> None:
    environ = {"CODEX_TRAIN__STEPS": "50"}
    default, muon = made(), configs_directory() / "train" / "muon.yaml"
    assert default.config.train.steps == 1000
    assert str(default.origins["train.steps"]) == f"{muon}:{line_of(muon, 'steps: 1000')}"
    tiny, file = made("experiment=tiny"), configs_directory() / "experiment" / "tiny.yaml"
    assert tiny.config.train.steps == 40
    assert str(tiny.origins["train.steps"]) == f"{file}:{line_of(file, 'steps: 40')}"
    varied = made("experiment=tiny", environ=environ)
    assert varied.config.train.steps == 50
    assert str(varied.origins["train.steps"]) == "environment variable CODEX_TRAIN__STEPS"
    typed = made("experiment=tiny", "train.steps=60", environ=environ)
    assert typed.config.train.steps == 60
    assert str(typed.origins["train.steps"]) == "command line"


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if line.strip() == text)


def test_every_key_has_an_origin_and_a_line_that_names_it() -> None:
    composed = made("experiment=tiny")
    assert set(composed.origins) == set(all_keys())
    for path, origin in composed.origins.items():
        assert origin.line is not None
        line = Path(origin.place).read_text().splitlines()[origin.line - 1]
        assert path.rsplit(".", 1)[-1] in line, f"{path} at {origin}"


def test_the_later_of_two_words_and_of_two_experiments_wins() -> None:
    assert made("seed=1", "seed=2").config.seed == 2
    assert made("experiment=demo", "experiment=tiny").config.name == "tiny"


@pytest.mark.parametrize("words", [("experiment=null",), ("experiment=tiny", "experiment=null")])
def test_an_experiment_can_be_taken_back(words: tuple[str, ...]) -> None:
    assert made(*words).config == made().config
    assert made(*words, "experiment=tiny").config == made("experiment=tiny").config


# ---- forms of an override ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("model=small", "model.layers", 6),
        ("train=adamw", "train.optimizer.name", "adamw"),
        ("train.lr=3e-4", "train.lr", 3e-4),
        ("++train.lr=3e-4", "train.lr", 3e-4),
        ("tokenizer.path=null", "tokenizer.path", None),
        ("eval.tasks=[lm,parse]", "eval.tasks", ["lm", "parse"]),
        ("data.include=[]", "data.include", []),
        ("sample.prompts=['a, b','c']", "sample.prompts", ["a, b", "c"]),
        ("train.schedule={name: cosine, warmup_steps: 10}", "train.schedule.name", "cosine"),
        ("train.schedule={name: cosine, warmup_steps: 10}", "train.schedule.warmup_steps", 10),
        ("name='quoted'", "name", "quoted"),
        ("name=run-${oc.env:CODEX_PROBE}", "name", "run-7"),
        ("eval.batch_size=${train.batch_size}", "eval.batch_size", 16),
        ("runtime.threads=3", "runtime.threads", 3),
        ("runtime.compile=true", "runtime.compile", True),
    ],
)
def test_every_form_of_the_page_sets_its_key(
    word: str, key: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_PROBE", "7")
    assert flatten(made(word).config)[key] == value


def test_a_section_keeps_what_was_not_named_and_says_where_it_comes_from() -> None:
    composed = made("train.schedule={name: cosine}")
    assert composed.config.train.schedule.warmup_steps == 20
    assert str(composed.origins["train.schedule.name"]) == "command line"
    assert str(composed.origins["train.schedule.warmup_steps"]).startswith(str(configs_directory()))


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0\r\u2028\u2029\x85"),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12)
@given(TEXT.filter(lambda text: "${" not in text and text != "null"))
@example(r"C:\code\new")
@example("it's \\' odd\\")
@example("/data/my code (old), [x]={y}")
def test_free_text_arrives_as_it_was_written(text: str) -> None:
    typed = [f"data.path={text}"] if text[0] not in "'\"" else ["data.path=/quoted/by/the/user"]
    config = made("data.source=files", *typed, environ={"CODEX_DATA__GROUP_FIELD": text}).config
    assert config.data.group_field == text
    assert config.data.path == typed[0].partition("=")[2]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "code", "shown"),
    [
        ("train.lrr=1e-3", "config.unknown-key", "did you mean 'train.lr'?"),
        ("modle=tiny", "config.unknown-key", "did you mean 'model'?"),
        ("+extra=1", "config.unknown-key", "no config key 'extra'"),
        ("++extra=1", "config.unknown-key", "no config key 'extra'"),
        ("hydra.verbose=true", "config.unknown-key", "hydra.verbose"),
        ("train.schedule={nme: cosine}", "config.unknown-key", "did you mean 'train.schedule.name'?"),
        ("+train.lr=1e-3", "config.override", "write train.lr=1e-3"),
        ("~train.lr", "config.override", "every key is needed"),
        ("train.lr=1e-3,1e-4", "config.override", "several values"),
        ("train.lr=range(1,3)", "config.override", "several values"),
        ("train.lr=[", "config.override", "key=value or group=option"),
        ("just words", "config.override", "key=value or group=option"),
        ("model=smal", "config.unknown-option", "did you mean 'small'?"),
        ("experiment=dmo", "config.unknown-option", "did you mean 'demo'?"),
        ("train.lr=fast", "config.value", "got 'fast'; wanted a number > 0. Next"),
        ("train.lr=true", "config.value", "got true; wanted a number > 0"),
        ("train.steps=true", "config.value", "got true; wanted a whole number >= 1"),
        ("runtime.threads=true", "config.value", "got true; wanted auto or a whole number"),
        ("train.steps=1.5", "config.value", "got 1.5; wanted a whole number"),
        ("train.lr=-1", "config.value", "got -1; wanted a number > 0"),
        ("train.lr=inf", "config.value", "got inf; wanted a finite number > 0"),
        ("train.lr=nan", "config.value", "got nan; wanted a finite number > 0"),
        ("seed=9223372036854775808", "config.value", "a whole number >= 0 and < 9223372036854775808"),
        ("runtime.compile=1", "config.value", "got 1; wanted auto, true or false"),
        ("runtime.compile=yes", "config.value", "got 'yes'; wanted auto, true or false"),
        ("runtime.compile='true'", "config.value", "got 'true'; wanted auto, true or false"),
        ("model.tie_embeddings=0", "config.value", "got 0; wanted true or false"),
        ("model.tie_embeddings=1.0", "config.value", "got 1.0; wanted true or false"),
        ("model.tie_embeddings=on", "config.value", "got 'on'; wanted true or false"),
        ("model.tie_embeddings=null", "config.value", "got null; wanted true or false"),
        ("data.include=[1]", "config.value", "got 1 in the list; wanted a list of text"),
        ("sample.prompts=[null]", "config.value", "got null in the list; wanted a list of text"),
        ("tracking.sinks=[]", "config.value", "got []; wanted a list of text, not empty"),
        ("model.name=", "config.value", "got ''; wanted text, not empty"),
        ("data.split=5", "config.value", "got 5; wanted a section"),
        ("seed='???'", "config.missing", "??? means a missing value; got command line"),
        ("name=a/b", "config.value", "got 'a/b'; wanted 1 to 100 letters, digits"),
        ("name=..", "config.value", "got '..'"),
        ("runtime.device=gpu", "config.value", "got 'gpu'; wanted auto, cpu, cuda or cuda:N"),
        ("runtime.dtype=float16", "config.value", "wanted auto, float32 or bfloat16"),
        ("eval.tasks=lm", "config.value", "got 'lm'"),
        ("train.optimizer=null", "config.value", "train.optimizer"),
        ("name=${oc.env:CODEX_SURELY_ABSENT}", "config.compose", "CODEX_SURELY_ABSENT"),
        ("eval.batch_size=${train.batchsize}", "config.compose", "train.batchsize"),
        ("model@train=tiny", "config.compose", "model@train"),
    ],
)
def test_a_wrong_word_is_refused_and_says_what_was_wanted(word: str, code: str, shown: str) -> None:
    error = refused(word)
    assert error.code == code
    assert word.lstrip("+~").split("=")[0].split("@")[0] in str(error)
    assert shown in str(error)
    assert len(str(error).splitlines()) == 1
    assert not re.search(r"Input should|valid |String|Tuple|instance|dictionary|True|False|None", str(error))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["model.heads=5"], "config.heads"),
        (["model.kv_heads=3"], "config.kv-heads"),
        (["model.dim=12", "model.heads=4"], "config.head-dim"),
        (["runtime.shards=5"], "config.shards"),
        (["train.steps=20"], "config.warmup"),
        (["runtime.threads=0"], "config.threads"),
        (["eval.every=0", "checkpoint.keep_best=0", "train.early_stop.patience=2"], "config.early-stop"),
        (["eval.every=0"], "config.keep-best"),
        (["data.split={train: 0.5, validation: 0.4}"], "config.split"),
        (["data.split={train: 1.0, validation: 0.0}"], "config.validation"),
        (["data.min_bytes=5", "data.max_bytes=4"], "config.bytes"),
        *(
            ([f"data.source={name}"], "config.data-path")
            for name in ("files", "git", "jsonl", "csv", "parquet")
        ),
        (["data.path=/x"], "config.data-path"),
        (["data.source=filse"], "registry.not-found"),
        (["model.name=decodr"], "registry.not-found"),
        (["tokenizer.name=bpee"], "registry.not-found"),
        (["tokenizer.name=sentencepiece"], "config.tokenizer"),
        (["objective.name=lmm"], "registry.not-found"),
        (["tracking.sinks=[ndjson,cvs]"], "registry.not-found"),
        (["eval.tasks=[lmm]"], "registry.not-found"),
    ],
)
def test_every_contradiction_is_found_before_any_work(words: list[str], code: str) -> None:
    error = refused(*words)
    assert error.code == code
    assert isinstance(error, NotFoundError if code == "registry.not-found" else ConfigError)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("model.heads=5", {"model.heads": 5, "model.kv_heads": 5, "model.dim": 60}),
        ("model.kv_heads=3", {"model.heads": 4, "model.kv_heads": 4, "model.dim": 64}),
        ("runtime.shards=5", {"runtime.shards": 5, "train.batch_size": 20}),
        ("model.heads=100", {"model.heads": 100, "model.kv_heads": 2, "model.dim": 200}),
    ],
)
def test_following_the_suggestions_leads_to_a_valid_config(word: str, values: dict[str, int]) -> None:
    words, config = [word], None
    while config is None and len(words) < 5:
        try:
            config = made(*words).config
        except ConfigError as error:
            words.append(str(error.next_step).removeprefix("try "))
    assert config is not None, f"{words} is still refused"
    asked, found = flatten(made().config) | values, flatten(config)
    assert {key: value for key, value in found.items() if value != asked[key]} == {}
    assert config.model.dim % (2 * config.model.heads) == config.model.heads % config.model.kv_heads == 0
    assert config.train.batch_size % config.runtime.shards == 0


def test_a_constant_schedule_may_be_all_warm_up() -> None:
    train = made("train.schedule={name: constant, warmup_steps: 50}", "train.steps=40").config.train
    assert (train.schedule.name, train.schedule.warmup_steps, train.steps) == ("constant", 50, 40)


# ---- own files -----------------------------------------------------------------------------------


def test_an_own_experiment_changes_groups_and_keys(mine) -> None:
    folder, file = mine("# @package _global_\ndefaults:\n  - override /model: small\n\nname: mine\nseed: 9\n")
    composed = made("experiment=mine", config_dir=folder)
    assert (composed.config.model.layers, composed.config.seed) == (6, 9)
    assert str(composed.origins["seed"]) == f"{file}:6"


@pytest.mark.parametrize("name", ["a b", "a(b)", "a,b", "a'b", "a=b", "[a]", "né", "a\\b"])
def test_a_folder_of_any_name_is_found(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 5\n")
    assert made("experiment=mine", config_dir=folder).config.seed == 5


LIST = "# @package _global_\ndefaults:\n"


@pytest.mark.parametrize(
    ("text", "code", "line", "shown"),
    [
        ("# @package _global_\ntrain:\n  lrr: 1\n", "config.unknown-key", 3, "did you mean 'train.lr'?"),
        ("# @package train\nlrr: 1\n", "config.unknown-key", 2, "did you mean 'train.lr'?"),
        ("train:\n  lr: 1\n", "config.unknown-key", 2, "'experiment.train.lr'"),
        ("# @package _global_\ntrain:\n  lr: fast\n", "config.value", 3, "got 'fast'"),
        ("# @package _global_\nseed: null\n", "config.value", 2, "got null"),
        ("# @package _global_\nname: 5\n", "config.value", 2, "put it in quotes: '5'"),
        ("# @package _global_\nmodel: {tie_embeddings: 1}\n", "config.value", 2, "wanted true or false"),
        ("# @package _global_\nruntime:\n  compile: 'on'\n", "config.value", 3, "auto, true or false"),
        ("# @package _global_\nseed: ???\n", "config.missing", 2, "'seed' has no value: ??? means"),
        ("# @package _global_\ntrain:\n  lr: '???'\n", "config.missing", 3, "'train.lr' has no value: ???"),
        ("# @package _global_\ntrain: ???\n", "config.value", 2, "'train' is one value"),
        ("# @package _global_\nseed: 1\ntrain: 5\n", "config.value", 3, "'train' is one value"),
        ("# @package _global_\ntrain:\nseed: 1\n", "config.value", 2, "'train' is one value; got nothing"),
        (f"{LIST}  - override /model: smal\n", "config.unknown-option", 3, "did you mean 'small'?"),
        (f"{LIST}  - override /model: huge\n", "config.unknown-option", 3, "demo, pretrained, small, tiny"),
        (f"{LIST}  - tiny\n  - override /train: [muonn]\n", "config.unknown-option", 4, "'muon'?"),
        (f"{LIST}  - tiyn\n", "config.unknown-option", 3, "did you mean 'tiny'?"),
        (f"{LIST}  - override /modle: small\n", "config.unknown-option", 3, "did you mean '/model'?"),
        (f"{LIST}  - override model: small\n", "config.unknown-option", 3, "did you mean '/model'?"),
        (f"{LIST}  - override /zzz: small\n", "config.unknown-option", 3, "choose one of checkpoint"),
        (f"{LIST}  - override /model: ???\n", "config.missing", 3, "'model' has no option yet"),
        (f"{LIST}  - /model: small\n", "config.override", 3, "write `override /model: small`"),
        (f"{LIST}  - a: b\n    c: d\n", "config.yaml", 3, "wanted a list of `override"),
        (f"{LIST}  - override /model: {{a: b}}\n", "config.yaml", 3, "wanted a list of `override"),
        ("defaults: small\n", "config.yaml", 1, "wanted a list of `override"),
        ("# @package _global_\ntrain: [\n", "config.yaml", 3, "expected the node content"),
        ("# @package _global_\nseed: 1\n\tname: x\n", "config.yaml", 3, "cannot start any token"),
        ("# @package _global_\ntrain:\n  lr: 1\n  lr: 2\n", "config.yaml", 4, "duplicate key"),
    ],
)
def test_a_mistake_in_an_own_file_is_told_with_file_and_line(
    mine, text: str, code: str, line: int, shown: str
) -> None:
    folder, file = mine(text)
    error = refused("experiment=mine", config_dir=folder)
    assert error.code == code
    assert f"{file}:{line}" in str(error)
    assert shown in str(error)


@pytest.mark.parametrize("text", ["5", "[seed]", "# nothing but a list:\n- seed\n"])
def test_a_file_without_keys_is_named(mine, text: str) -> None:
    folder, file = mine(text)
    error = refused("experiment=mine", config_dir=folder)
    assert (error.code, error.got) == ("config.yaml", str(file))


def test_a_mistake_in_a_file_that_an_own_file_names_is_told_with_that_file(mine) -> None:
    folder, _ = mine(f"{LIST}  - override /model: mine\n  - _self_\n")
    (folder / "model").mkdir()
    (folder / "model" / "mine.yaml").write_text("defaults:\n  - smal\n")
    error = refused("experiment=mine", config_dir=folder)
    assert error.code == "config.unknown-option"
    assert error.got == f"{folder / 'model' / 'mine.yaml'}:2"
    (folder / "model" / "mine.yaml").write_text("defaults:\n  - small\n\ndim: 256\n")
    config = made("experiment=mine", config_dir=folder).config
    assert (config.model.layers, config.model.dim) == (6, 256)


@pytest.mark.parametrize(
    "line",
    [
        "override /model: [small]",
        "override /model: small.yaml",
        "override /model: ${tokenizer}",
        "small.yaml",
    ],
)
def test_every_form_of_a_defaults_list_composes(mine, line: str) -> None:
    folder, _ = mine(f"{LIST}  - optional more: absent\n  - {line}\n  - override /hydra/job_logging: none\n")
    for file in ("model/bpe.yaml", "experiment/small.yaml"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(
            "defaults: [small]\n" if "model" in file else f"{LIST}  - override /model: small\n"
        )
    assert made("experiment=mine", config_dir=folder).config.model == made("model=small").config.model


def test_a_value_left_open_in_a_file_may_be_given_later(mine) -> None:
    folder, _ = mine(f"{LIST}  - tiny\n  - _self_\n\nseed: ???\n")
    assert made("experiment=mine", "seed=7", config_dir=folder).config.seed == 7
    assert made("experiment=mine", config_dir=folder, environ={"CODEX_SEED": "8"}).config.seed == 8
    (folder / "experiment" / "more.yaml").write_text(f"{LIST}  - mine\n  - _self_\n\nseed: 9\n")
    assert made("experiment=more", config_dir=folder).config.seed == 9


@pytest.mark.parametrize(("written", "value"), [("yes", True), ("off", False), ("true", True)])
def test_a_truth_value_may_be_written_as_yaml_writes_it(mine, written: str, value: bool) -> None:
    folder, _ = mine(f"# @package _global_\nmodel:\n  tie_embeddings: {written}\n")
    assert made("experiment=mine", config_dir=folder).config.model.tie_embeddings is value


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refused(config_dir=tmp_path / "none")
    assert error.code == "config.directory"
    assert str(tmp_path / "none") in str(error)


# ---- what is composed ----------------------------------------------------------------------------

OPTIONS = [f"{group}={option}" for group, options in group_options().items() for option in options]


@pytest.mark.parametrize("word", [word for word in OPTIONS if word != "data=base"])
def test_every_shipped_option_composes_and_survives_being_saved(word: str) -> None:
    config = made(*PATHS.get(word, ()), word).config
    saved = json.loads(json.dumps(to_dict(config)))
    assert decode_saved(saved) == config
    assert flatten(saved) == flatten(config)
    assert set(flatten(config)) == set(all_keys())


def test_a_config_cannot_be_changed() -> None:
    config = made().config
    for section in (config, config.train, config.train.optimizer, config.data.split):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, dataclasses.fields(section)[0].name, "other")
    assert isinstance(config.eval.tasks, tuple)


def test_a_saved_config_of_another_version_is_refused_by_key() -> None:
    saved = to_dict(made().config)
    for change, code in (("missing", "config.missing"), ("extra", "config.unknown-key")):
        other = json.loads(json.dumps(saved))
        if change == "missing":
            del other["train"]["guard"]["window"]
        else:
            other["train"]["guard"]["windw"] = 3
        with pytest.raises(ConfigError) as caught:
            decode_saved(other)
        assert caught.value.code == code
        assert re.search(r"train\.guard\.wind", str(caught.value))


@pytest.mark.parametrize("name", ["mlflow-artifacts", "mlflow.db", "mlflow.db-wal", "mlruns"])
def test_a_name_under_which_a_tracker_keeps_its_own_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([f"name={name}"])
    assert caught.value.code == "config.name"
