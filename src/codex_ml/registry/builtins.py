"""The one table of built-in components: kind -> name -> "module:attribute", imported on use."""

from __future__ import annotations

BUILTINS: dict[str, dict[str, str]] = {
    "tokenizers": {
        "bpe": "codex_ml.tokenization.hf_tokenizer:HFTokenizerAdapter",
        "hf": "codex_ml.tokenization.hf_tokenizer:HFTokenizerAdapter",
        "sentencepiece": "codex_ml.tokenization.sentencepiece_adapter:SentencePieceAdapter",
    },
    "models": {
        "decoder": "codex_ml.modeling.decoder:Decoder",
        "pretrained": "codex_ml.modeling.pretrained:Pretrained",
    },
    "objectives": {"lm": "codex_ml.objectives.lm:lm_loss", "sft": "codex_ml.objectives.lm:lm_loss"},
    "data_sources": {
        "csv": "codex_ml.data.sources.csv:CsvSource",
        "files": "codex_ml.data.sources.files:FilesSource",
        "git": "codex_ml.data.sources.git:GitSource",
        "jsonl": "codex_ml.data.sources.jsonl:JsonlSource",
        "parquet": "codex_ml.data.sources.parquet:ParquetSource",
        "python_stdlib": "codex_ml.data.sources.python_stdlib:PythonStdlibSource",
    },
    "trackers": {
        "csv": "codex_ml.tracking.file_sinks:CsvTracker",
        "mlflow": "codex_ml.tracking.mlflow_utils:MlflowTracker",
        "ndjson": "codex_ml.tracking.file_sinks:NdjsonTracker",
        "tensorboard": "codex_ml.tracking.tensorboard_sink:TensorBoardTracker",
        "wandb": "codex_ml.tracking.wandb_sink:WandbTracker",
    },
    "metrics": {"token_accuracy": "codex_ml.metrics.functions:token_accuracy"},
    "eval_tasks": {
        "compressors": "codex_ml.evaluation.tasks.compressors:evaluate_compressors",
        "lm": "codex_ml.evaluation.tasks.lm:evaluate_lm",
        "parse": "codex_ml.evaluation.tasks.parse:evaluate_parse",
    },
    "audit_rules": {
        "container-entrypoint": "codex_ml.audit.rules.container_entrypoint:RULE",
        "container-health": "codex_ml.audit.rules.container_health:RULE",
        "container-root": "codex_ml.audit.rules.container_root:RULE",
        "dynamic-code": "codex_ml.audit.rules.dynamic_code:RULE",
        "empty-test": "codex_ml.audit.rules.empty_test:RULE",
        "lock-hashes": "codex_ml.audit.rules.lock_hashes:RULE",
        "notebook-stub": "codex_ml.audit.rules.notebook_stub:RULE",
        "optional-import": "codex_ml.audit.rules.optional_import:RULE",
        "resume-not-wired": "codex_ml.audit.rules.resume_not_wired:RULE",
        "secret": "codex_ml.audit.rules.secret:RULE",  # pragma: allowlist secret
        "secret-baseline": "codex_ml.audit.rules.secret_baseline:RULE",
        "shell-true": "codex_ml.audit.rules.shell_true:RULE",
        "stub": "codex_ml.audit.rules.stub:RULE",
        "swallowed-error": "codex_ml.audit.rules.swallowed_error:RULE",
        "todo": "codex_ml.audit.rules.todo:RULE",
        "tracker-file-store": "codex_ml.audit.rules.tracker_file_store:RULE",
        "trust-remote-code": "codex_ml.audit.rules.trust_remote_code:RULE",
        "undeclared-dependency": "codex_ml.audit.rules.undeclared_dependency:RULE",
        "unmarked-optional-test": "codex_ml.audit.rules.unmarked_optional_test:RULE",
        "unpinned-dependency": "codex_ml.audit.rules.unpinned_dependency:RULE",
        "unsafe-load": "codex_ml.audit.rules.unsafe_load:RULE",
        "unsafe-yaml": "codex_ml.audit.rules.unsafe_yaml:RULE",
        "unseeded-entry": "codex_ml.audit.rules.unseeded_entry:RULE",
        "unseeded-loader": "codex_ml.audit.rules.unseeded_loader:RULE",
    },
}
