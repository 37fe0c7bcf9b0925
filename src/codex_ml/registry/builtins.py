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
    "eval_tasks": {
        "compressors": "codex_ml.evaluation.tasks.compressors:evaluate_compressors",
        "lm": "codex_ml.evaluation.tasks.lm:evaluate_lm",
        "parse": "codex_ml.evaluation.tasks.parse:evaluate_parse",
    },
}
