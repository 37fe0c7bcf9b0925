"""Contradictions between values that are each valid alone, found before any work."""

from __future__ import annotations

from codex_ml.config.components import components
from codex_ml.config.schema import RunConfig
from codex_ml.errors import ConfigError
from codex_ml.registry import registry_for

#: data.source -> whether data.path is needed (True), refused (False) or free (None)
_NEEDS_PATH = {
    "python_stdlib": False,
    "files": True,
    "git": True,
    "jsonl": True,
    "csv": True,
    "parquet": True,
}


_MOST_THREADS = 1024
#: The 256 bytes and the special tokens of every tokenizer trained here, and some merges.
_LEAST_VOCABULARY = 264
#: The tokenizers that stages open, by the files that they leave; the rest are only loaded by hand.
_TOKENIZED = ("bpe", "hf")


def check_config(config: RunConfig) -> None:
    """Raise ConfigError for the first contradiction, NotFoundError for an unknown component name."""
    _check_names(config)
    _check_model(config)
    _check_training(config)
    _check_data(config)
    _check_tokenizer(config)
    _check_engine(config)
    _check_samples(config)


def _refuse(what: str, *, code: str, got: str, wanted: str, next_step: str | None = None) -> None:
    raise ConfigError(what, code=code, got=got, wanted=wanted, next_step=next_step)


#: What else lies among the runs.
_RESERVED = ("mlflow-artifacts", "mlflow.db", "mlruns")


def _check_names(config: RunConfig) -> None:
    # sqlite makes mlflow.db-wal and the like beside the store.
    if config.name in _RESERVED or config.name.startswith("mlflow.db"):
        _refuse(
            f"'{config.name}' is where the runs' tracker keeps its own",
            code="config.name",
            got=f"name={config.name}",
            wanted=f"a name that is none of {', '.join(_RESERVED)}",
            next_step="choose another name",
        )
    for kind, name, key in components(config):
        plugin = registry_for(kind).source(name)
        if plugin is not None and not plugin.matches(config.plugins.allow):
            _refuse(
                f"{key} names a plugin that plugins.allow leaves out",
                code="config.plugin",
                got=plugin.who(),
                wanted=f"one of {', '.join(config.plugins.allow)}" if config.plugins.allow else "no plugin",
                next_step=f"add {plugin.distribution} to plugins.allow, or choose another {key}",
            )


#: Keys of the shape of a new model -> what is too little for one.
_SHAPE = {"layers": 0, "dim": 7, "heads": 0, "kv_heads": 0, "ffn_dim": 7, "rope_theta": 1, "norm_eps": 0}
_BROUGHT = (*_SHAPE, "tie_embeddings", "dropout", "init_std")


def _check_model(config: RunConfig) -> None:
    model = config.model
    if model.name == "pretrained":
        _check_pretrained(config)
        return
    if model.path is not None:
        _refuse(
            f"model.name={model.name} is a new model and takes no weights",
            code="config.model-path",
            got=f"model.path={model.path}",
            wanted="model=pretrained with model.path, or train.init_from=RUN for a run's weights",
        )
    if model.lora.r or model.lora.path is not None or model.quantize != "none":
        _refuse(
            "an adapter stands on weights that exist",
            code="config.lora-base",
            got=f"model.name={model.name} model.lora.r={model.lora.r}",
            wanted="model=pretrained model.path=DIR",
            next_step="give the weights, or set model.lora.r=0",
        )
    for name, above in _SHAPE.items():
        value = float(getattr(model, name))
        if value <= above:
            _refuse(
                f"model.{name} is too small for a model",
                code="config.shape",
                got=f"model.{name}={value:g}",
                wanted=f"more than {above:g}",
            )
    if model.dim % model.heads:
        _refuse(
            "model.heads must divide model.dim",
            code="config.heads",
            got=f"model.dim={model.dim} model.heads={model.heads}",
            wanted="a divisor",
            next_step=f"try model.dim={model.heads * max(1, model.dim // model.heads)}",
        )
    if model.heads % model.kv_heads:
        _refuse(
            "model.kv_heads must divide model.heads",
            code="config.kv-heads",
            got=f"model.heads={model.heads} model.kv_heads={model.kv_heads}",
            wanted="a divisor",
            next_step=f"try model.kv_heads={model.heads}",
        )
    if (model.dim // model.heads) % 2:
        _refuse(
            "rotary positions need an even head width",
            code="config.head-dim",
            got=f"model.dim/model.heads={model.dim // model.heads}",
            wanted="an even number",
            next_step=f"try model.dim={2 * model.heads * max(1, model.dim // (2 * model.heads))}",
        )


def _check_pretrained(config: RunConfig) -> None:
    model, lora = config.model, config.model.lora
    if model.path is None:
        _refuse(
            "model.name=pretrained needs weights",
            code="config.model-path",
            got="model.path=null",
            wanted="a Hugging Face directory, a GGUF file or an export",
            next_step="add model.path=DIR",
        )
    if config.train.init_from is not None:
        _refuse(
            "fine-tuning starts from model.path",
            code="config.pretrained-init",
            got=f"train.init_from={config.train.init_from}",
            wanted="model.path=runs/NAME/export, or model.lora.path=runs/NAME/export/adapter",
        )
    given = [name for name in _BROUGHT if getattr(model, name)]
    if given:
        _refuse(
            "pretrained weights bring their shape",
            code="config.pretrained-shape",
            got=f"model.{given[0]}={getattr(model, given[0])}",
            wanted=f"model.{given[0]}=0",
            next_step="leave these keys as model=pretrained has them",
        )
    if model.quantize != "none" and not lora.r and lora.path is None:
        _refuse(
            "weights of 4 bits cannot be trained themselves",
            code="config.quantize",
            got=f"model.quantize={model.quantize} model.lora.r=0",
            wanted="an adapter: model.lora.r > 0",
        )
    pattern = [target for target in lora.targets if target.startswith("regex:") or target == "all-linear"]
    if pattern and len(lora.targets) > 1:
        _refuse(
            "model.lora.targets is all-linear, one pattern, or a list of names",
            code="config.lora-targets",
            got=", ".join(lora.targets),
            wanted=f"[{pattern[0]}] alone",
        )
    if config.runtime.sharding != "none":
        _refuse(
            "pretrained models are not sharded",
            code="config.pretrained-sharding",
            got=f"runtime.sharding={config.runtime.sharding}",
            wanted="runtime.sharding=none",
        )
    if config.objective.name not in ("lm", "sft"):
        _refuse(
            "a pretrained model learns by cross-entropy",
            code="config.pretrained-objective",
            got=f"objective.name={config.objective.name}",
            wanted="objective=lm or objective=sft",
        )
    if config.train.optimizer.name == "muon" and (lora.r or lora.path is not None):
        _refuse(
            "Muon is for whole matrices, not for the factors of an adapter",
            code="config.lora-muon",
            got=f"train.optimizer.name=muon model.lora.r={lora.r}",
            wanted="train.optimizer.name=adamw",
            next_step="add train=sft",
        )


def _check_engine(config: RunConfig) -> None:
    if config.train.engine == "native":
        return
    wanted = (
        ("model.name", config.model.name, "pretrained"),
        ("train.optimizer.name", config.train.optimizer.name, "adamw"),
        ("train.guard.action", config.train.guard.action, "stop"),
        ("runtime.determinism", config.runtime.determinism, "exact"),
    )
    for key, got, one in wanted:
        if got != one:
            _refuse(
                f"train.engine=hf does not do {key}={got}",
                code="config.engine",
                got=f"{key}={got}",
                wanted=f"{key}={one}, or train.engine=native",
            )


def _check_tokenizer(config: RunConfig) -> None:
    tokenizer = config.tokenizer
    if tokenizer.name not in _TOKENIZED:
        _refuse(
            f"no run tokenizes with tokenizer.name={tokenizer.name} yet",
            code="config.tokenizer",
            got=f"tokenizer.name={tokenizer.name}",
            wanted="bpe, or hf with tokenizer.path: prepared data and exports hold a tokenizer.json",
            next_step="`codex-ml plugins check` looks at tokenizers of other kinds",
        )
    given = tokenizer.path or config.model.path
    if tokenizer.vocab_size < _LEAST_VOCABULARY and not (given and tokenizer.vocab_size == 0):
        _refuse(
            "tokenizer.vocab_size is too small to train a tokenizer",
            code="config.vocab",
            got=f"tokenizer.vocab_size={tokenizer.vocab_size}",
            wanted=f"at least {_LEAST_VOCABULARY}, or 0 where tokenizer.path or model.path gives one",
        )


def _check_samples(config: RunConfig) -> None:
    data, answers = config.data, config.objective.name == "sft"
    if answers != (data.format != "text"):
        _refuse(
            "answers alone are trained by objective=sft, on samples; whole documents by objective=lm",
            code="config.format",
            got=f"objective.name={config.objective.name} data.format={data.format}",
            wanted="objective=sft with data=samples, or objective=lm with data.format=text",
        )
    if answers and config.model.name != "pretrained":
        _refuse(
            "samples are for a model that exists",
            code="config.sft-model",
            got=f"model.name={config.model.name} data.format={data.format}",
            wanted="model=pretrained model.path=DIR",
            next_step="export a run of yours and give its export/ as model.path",
        )


def _check_training(config: RunConfig) -> None:
    train, runtime = config.train, config.runtime
    if train.batch_size % runtime.shards:
        _refuse(
            "runtime.shards must divide train.batch_size",
            code="config.shards",
            got=f"train.batch_size={train.batch_size} runtime.shards={runtime.shards}",
            wanted="a divisor",
            next_step=f"try train.batch_size={runtime.shards * (train.batch_size // runtime.shards + 1)}",
        )
    elastic = runtime.determinism == "elastic"
    if elastic and runtime.shards & (runtime.shards - 1):
        _refuse(
            "an elastic run needs a power of two of shards",
            code="config.elastic-shards",
            got=f"runtime.shards={runtime.shards}",
            wanted="1, 2, 4, 8, …",
            next_step=f"try runtime.shards={1 << (runtime.shards.bit_length() - 1)}",
        )
    if elastic and runtime.sharding != "none":
        _refuse(
            "an elastic run keeps whole weights on every worker",
            code="config.elastic-sharding",
            got=f"runtime.sharding={runtime.sharding}",
            wanted="runtime.sharding=none, or runtime.determinism=exact",
        )
    if runtime.sharding == "fsdp2":
        _check_sharding(config)
    if train.schedule.name != "constant" and train.schedule.warmup_steps >= train.steps:
        _refuse(
            "the warm-up is as long as the run",
            code="config.warmup",
            got=f"train.schedule.warmup_steps={train.schedule.warmup_steps} train.steps={train.steps}",
            wanted="fewer warm-up steps than steps",
        )
    decay = round(train.steps * train.schedule.decay_share)
    if train.schedule.name == "wsd" and train.schedule.warmup_steps + decay > train.steps:
        _refuse(
            "the warm-up reaches into the decay",
            code="config.decay",
            got=f"train.schedule.warmup_steps={train.schedule.warmup_steps} and {decay} steps of decay "
            f"in train.steps={train.steps}",
            wanted="warm-up and decay that fit into the steps",
            next_step="lower train.schedule.warmup_steps or train.schedule.decay_share",
        )
    if isinstance(runtime.threads, int) and not 1 <= runtime.threads <= _MOST_THREADS:
        _refuse(
            "runtime.threads is no sensible count",
            code="config.threads",
            got=str(runtime.threads),
            wanted=f"auto, or 1 to {_MOST_THREADS}",
        )
    if config.eval.every == 0 and train.early_stop.patience:
        _refuse(
            "early stopping needs evaluations",
            code="config.early-stop",
            got=f"train.early_stop.patience={train.early_stop.patience} eval.every=0",
            wanted="eval.every >= 1",
        )
    if config.eval.every == 0 and config.checkpoint.keep_best:
        _refuse(
            "keeping the best checkpoint needs evaluations",
            code="config.keep-best",
            got=f"checkpoint.keep_best={config.checkpoint.keep_best} eval.every=0",
            wanted="eval.every >= 1, or checkpoint.keep_best=0",
        )


def _check_sharding(config: RunConfig) -> None:
    if config.checkpoint.on_failure == "continue":
        _refuse(
            "all workers write a sharded checkpoint together, so a save that fails ends the run",
            code="config.sharding-failure",
            got="checkpoint.on_failure=continue runtime.sharding=fsdp2",
            wanted="checkpoint.on_failure=stop",
        )
    if config.train.optimizer.name == "muon":
        _refuse(
            "Muon needs whole matrices, which no worker has under fsdp2",
            code="config.sharding-muon",
            got="train.optimizer.name=muon runtime.sharding=fsdp2",
            wanted="train.optimizer.name=adamw",
            next_step="add train=adamw",
        )
    if config.runtime.compile is True:
        _refuse(
            "a sharded model is not compiled",
            code="config.sharding-compile",
            got="runtime.compile=true runtime.sharding=fsdp2",
            wanted="runtime.compile=auto or false",
        )


def _check_data(config: RunConfig) -> None:
    data, split = config.data, config.data.split
    total = split.train + split.validation + split.test
    if abs(total - 1) > 1e-6:
        _refuse(
            "the shares of data.split must add up to 1",
            code="config.split",
            got=f"{split.train} + {split.validation} + {split.test} = {total:g}",
            wanted="1",
        )
    if config.eval.every and split.validation == 0:
        _refuse(
            "evaluation in training needs a validation split",
            code="config.validation",
            got=f"eval.every={config.eval.every} data.split.validation=0",
            wanted="data.split.validation > 0, or eval.every=0",
        )
    if data.min_bytes > data.max_bytes:
        _refuse(
            "data.min_bytes is above data.max_bytes",
            code="config.bytes",
            got=f"{data.min_bytes} > {data.max_bytes}",
            wanted="min_bytes <= max_bytes",
        )
    needed = _NEEDS_PATH.get(data.source)
    if needed is True and data.path is None:
        _refuse(
            f"data.source={data.source} needs a path",
            code="config.data-path",
            got="data.path=null",
            wanted="a file or folder",
            next_step="add data.path=PATH",
        )
    if needed is False and data.path is not None:
        _refuse(
            f"data.source={data.source} reads no path",
            code="config.data-path",
            got=f"data.path={data.path}",
            wanted="null",
            next_step="add data.source=files to train on a folder of files",
        )
