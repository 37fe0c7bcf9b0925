"""Modelling: a model that is defined or loaded, on a device and in a dtype that were chosen."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "modeling",
    "ChatGPT Codex Modeling",
    signals=(
        Signal(
            "model.use",
            bases=("nn.Module", "LightningModule", "PreTrainedModel", "keras.Model"),
            calls=(
                *("AutoModel*.from_pretrained", "*Model.from_pretrained", "*LMHeadModel.from_pretrained"),
                *("*ForCausalLM.from_pretrained", "*ForSequenceClassification.from_pretrained"),
                *("keras.Sequential", "AutoModelForCausalLM.from_config"),
                *("nn.Sequential", "nn.Linear"),
            ),
        ),
        Signal(
            "model.device",
            keywords=(
                *(("*", "device_map"), ("*", "torch_dtype"), ("*", "device")),
                (r"(\.to|from_pretrained|from_config|autocast|\.load\w*)$", "dtype"),
            ),
            calls=("*.cuda", "torch.device"),
        ),
        Signal(
            "model.checked",
            calls=(
                *("cuda.is_available", "mps.is_available", "is_bf16_supported", "cuda.device_count"),
                "get_device_capability",
            ),
        ),
        Signal(
            "model.load",
            calls=(
                *("*.load_state_dict", "*.from_pretrained", "safetensors.torch.load_file", "load_model"),
                *("*.load_from_checkpoint", "safetensors.safe_open", "safe_open", "*.load_weights"),
            ),
        ),
    ),
    needs=(
        Need(
            "use",
            ("model.use",),
            "no model is defined or loaded",
            "there is nothing to train or to run",
            "define a model, or load one from a local directory",
            5,
        ),
        Need(
            "device",
            ("model.device",),
            "device and dtype are left to defaults",
            "a model runs on the CPU or in the wrong precision",
            "take device and dtype as arguments",
        ),
        Need(
            "checked",
            ("model.checked",),
            "the device is not checked before loading",
            "failure after minutes of loading, or a silent fallback",
            "check what the machine has and say what was chosen",
            2,
        ),
        Need(
            "load",
            ("model.load",),
            "weights are never loaded",
            "what was trained cannot be used again",
            "load weights strictly, listing missing and unexpected ones",
            4,
        ),
        Need(
            "trusted",
            (),
            "remote code of a model is trusted",
            "whoever publishes the model runs code here",
            "remove trust_remote_code and pin a reviewed copy",
            4,
            without=("trust-remote-code",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the model",
            "shapes, dtypes and loading break unseen",
            "test a tiny model: shapes, loading, device choice",
        ),
    ),
)
