"""Checkpointing: all of a run's state, saved whole and loaded again."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

_LOAD_OPTIMIZER = (
    "*optim*.load_tensors",
    "*optim*.load_state_dict",
    "*Optim*().load_state_dict",
    "torch.optim.*().load_state_dict",
)
_HF_RESUME = ((r"\.train$", "resume_from_checkpoint"), (r"\.fit$", "ckpt_path"))

CAPABILITY = Capability(
    "checkpointing",
    "Checkpointing & Resume",
    signals=(
        Signal(
            "ckpt.save",
            calls=(
                *(
                    "torch.save",
                    "*.save_pretrained",
                    "*.save_model",
                    "safetensors.torch.save_file",
                    "save_file",
                ),
                *("*.save_checkpoint", "*.save_state", "ModelCheckpoint", "*.save_weights", "dcp.save"),
            ),
            keywords=(("TrainingArguments", "save_steps"), ("TrainingArguments", "save_strategy")),
            promises=("save_checkpoint", "save", "save_model"),
        ),
        Signal(
            "ckpt.load", calls=("*.load_state_dict", "torch.load", "*.load_from_checkpoint", "*.load_state")
        ),
        Signal(
            "ckpt.load",
            keywords=_HF_RESUME,
            calls=("safetensors.torch.load_file", "safe_open", "dcp.load"),
        ),
        Signal(
            "ckpt.opt_saved",
            calls=("*optim*.state_dict", "*Optim*().state_dict", "torch.optim.*().state_dict"),
        ),
        Signal(
            "ckpt.opt_saved",
            calls=("*.save_state", "ModelCheckpoint", "*.save_checkpoint"),
            keys=("optimizer",),
        ),
        Signal(
            "ckpt.opt_saved",
            keywords=(("TrainingArguments", "save_steps"), ("TrainingArguments", "save_strategy")),
        ),
        Signal("ckpt.opt_loaded", calls=(*_LOAD_OPTIMIZER, "*.load_state"), keywords=_HF_RESUME),
        Signal(
            "ckpt.schedule",
            calls=("*sched*.load_state_dict", "torch.optim.lr_scheduler.*().load_state_dict", "*.load_state"),
            keywords=_HF_RESUME,
            functions=("learning_rate_at", "lr_at", "get_lr", "lr_lambda", "lr_scale"),
        ),
        Signal(
            "ckpt.rng",
            calls=(
                "*.set_rng_state",
                "*.set_rng_state_all",
                "random.setstate",
                "numpy.random.set_state",
                "*.set_state",
            ),
            keywords=_HF_RESUME,
        ),
        # Nothing to restore where every draw follows from the seed and the step.
        Signal(
            "ckpt.rng", calls=("*.load_state", "*.fold_in"), functions=("draw_seed", "fold_in", "seed_at")
        ),
        Signal(
            "ckpt.data",
            keywords=_HF_RESUME,
            calls=("skip_first_batches", "*sampler*.load_state_dict", "*loader*.load_state_dict"),
            keys=(
                "sampler",
                "data_position",
                "batch_idx",
                "samples_seen",
                "iter_num",
                "global_step",
                "cursor",
            ),
            functions=("rows_of_step", "batch_rows", "batch_at", "order_at", "indices_at"),
        ),
        Signal(
            "ckpt.atomic",
            calls=("os.replace", "os.rename", "*.replace_atomically", "atomic_write", "os.fsync"),
            keywords=_HF_RESUME,
            imports=("atomicwrites",),
        ),
    ),
    needs=(
        Need("save", ("ckpt.save",), "nothing is saved", "a stop loses the model", "save checkpoints", 5),
        Need(
            "load", ("ckpt.load",), "what is saved is not loaded", "checkpoints help nobody", "load them", 5
        ),
        Need(
            "optimizer saved",
            ("ckpt.opt_saved",),
            "the optimizer's state is not saved",
            "a resumed run jumps",
            "save the optimizer beside the model",
            4,
        ),
        Need(
            "optimizer loaded",
            ("ckpt.opt_loaded",),
            "the optimizer's state is not loaded",
            "a resumed run restarts its moments",
            "load it, or call .train(resume_from_checkpoint=…)",
            4,
        ),
        Need(
            "schedule",
            ("ckpt.schedule",),
            "the schedule does not go on where it was",
            "a resumed run warms up again",
            "restore the scheduler, or compute the rate from the step",
        ),
        Need(
            "random state",
            ("ckpt.rng",),
            "the random state is not restored",
            "a resumed run is another run",
            "save and load the states of all generators",
            4,
        ),
        Need(
            "data position",
            ("ckpt.data",),
            "the position in the data is not restored",
            "samples are repeated or skipped after a resume",
            "save the position and skip to it",
            4,
        ),
        Need(
            "atomic",
            ("ckpt.atomic",),
            "a checkpoint is not published whole",
            "a kill while saving leaves half a file",
            "write beside, sync, then rename",
        ),
        Need(
            "wired",
            (),
            "a path to resume from is accepted and not used where it works",
            "a run that was to be resumed starts over",
            "pass it to .train(resume_from_checkpoint=…)",
            5,
            without=("resume-not-wired",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches saving and loading",
            "a checkpoint that cannot be loaded is found when it is needed",
            "test that a resumed run equals an uninterrupted one",
            4,
        ),
    ),
)
