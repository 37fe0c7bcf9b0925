"""Configuration: typed values that are refused when wrong and kept with the run."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "configuration",
    "Configuration Management",
    signals=(
        Signal(
            "config.use",
            calls=(
                *("hydra.main", "OmegaConf.load", "OmegaConf.create", "ArgumentParser", "HfArgumentParser"),
                *(
                    "yaml.safe_load",
                    "tomllib.load",
                    "hydra.compose",
                    "compose",
                    "*.LightningCLI",
                    "draccus.parse",
                ),
            ),
            bases=("BaseSettings", "pydantic.BaseModel"),
        ),
        Signal(
            "config.checked",
            calls=(
                *("OmegaConf.structured", "OmegaConf.set_struct", "HfArgumentParser", "TypeAdapter"),
                *("jsonschema.validate", "*.validate_python", "dacite.from_dict", "ConfigStore.instance"),
            ),
            bases=("BaseModel", "BaseSettings"),
            keywords=((r"add_argument$", "type"), (r"add_argument$", "choices")),
        ),
        Signal(
            "config.kept",
            calls=(
                "OmegaConf.save",
                "*.save_hyperparameters",
                "*.save_config",
                "*.log_params",
                "mlflow.log_params",
            ),
            keywords=(("wandb.init", "config"),),
            made=("config", "resolved_config"),
        ),
        Signal(
            "config.kept", functions=("save_config", "write_config", "dump_config"), linked=("config.use",)
        ),
        Signal(
            "config.sweep",
            calls=("optuna.create_study", "wandb.sweep", "ray.tune.run", "tune.Tuner", "*.suggest_float"),
            imports=("optuna",),
        ),
    ),
    needs=(
        Need(
            "use",
            ("config.use", "config.files"),
            "no configuration: values stand in the code",
            "an experiment cannot be told from an edit",
            "read a typed config, with overrides from the command line",
            4,
        ),
        Need(
            "checked",
            ("config.checked",),
            "unknown keys and wrong types are not refused",
            "a misspelt key trains with the default",
            "check the config against a schema before anything starts",
        ),
        Need(
            "kept",
            ("config.kept",),
            "the resolved config is not kept with the run",
            "nobody knows what was run",
            "write the resolved config beside the results",
        ),
        Need(
            "sweep",
            ("config.sweep", "config.sweep_files"),
            "no sweep is configured or documented",
            "comparisons are made by hand",
            "document overrides and add a sample sweep",
            2,
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the configuration",
            "defaults change unseen",
            "test composition, overrides and refusals",
        ),
    ),
)
