"""Checkpointing: all of a run's state, saved whole and loaded again."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

_LOAD_OPTIMIZER = (
    *("*optim*.load_tensors", "*optim*.load_state_dict", "*Optim*().load_state_dict"),
    "torch.optim.*().load_state_dict",
)
#: Trainers that save and restore everything: the state of accelerate, the callback of Lightning.
_STATE = ("accelerator.save_state", "Accelerator().save_state")
#: Save as they train, unless they are told not to.
_TRAINERS = ("transformers.Trainer", "transformers.Seq2SeqTrainer", "trl.*Trainer")
_STATE_BACK = ("accelerator.load_state", "Accelerator().load_state")
_HF_SAVES = (("TrainingArguments", "save_steps"), ("TrainingArguments", "save_strategy"))
_HF_RESUME = ((r"\.train$", "resume_from_checkpoint"),)
_RESUMES = (*_HF_RESUME, (r"\.fit$", "ckpt_path"))
_SAVED, _LOADED = ("ckpt.save",), ("ckpt.load",)

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
                *("*.save_checkpoint", "ModelCheckpoint", "*.save_weights", "dcp.save", *_STATE),
            ),
            keywords=_HF_SAVES,
            promises=("save_checkpoint", "save", "save_model"),
        ),
        Signal("ckpt.save", methods=(("save", "restore"), ("save", "load_latest")), linked=("train.step",)),
        *(
            Signal(name, calls=_TRAINERS, unless=("save_strategy",))
            for name in (
                "ckpt.save",
                "ckpt.opt_saved",
                "ckpt.sched_saved",
                "ckpt.rng_saved",
                "ckpt.data_saved",
            )
        ),
        Signal(
            "ckpt.load",
            calls=(
                *("*.load_state_dict", "torch.load", "*.load_from_checkpoint", *_STATE_BACK),
                *("safetensors.torch.load_file", "safe_open", "dcp.load"),
            ),
            keywords=_RESUMES,
        ),
        Signal(
            "ckpt.opt_saved",
            calls=(
                *("*optim*.state_dict", "*Optim*().state_dict", "torch.optim.*().state_dict"),
                *("ModelCheckpoint", *_STATE),
            ),
            keywords=_HF_SAVES,
        ),
        Signal(
            "ckpt.opt_saved",
            # The optimizer's state or tensors handed to what writes; the optimizer itself says nothing.
            arguments=((r"(save|write|dump|store|publish)", r"\boptim\w*\.\w+\(|\.optim\w*\b"),),
            made=("optimizer", "optimizer_state_dict", "optim"),
            linked=(*_SAVED, "train.step"),
        ),
        Signal("ckpt.opt_loaded", calls=(*_LOAD_OPTIMIZER, *_STATE_BACK), keywords=_RESUMES),
        Signal(
            "ckpt.sched_saved",
            calls=("*sched*.state_dict", "*lr_scheduler.*().state_dict", "ModelCheckpoint", *_STATE),
            keywords=_HF_SAVES,
        ),
        Signal(
            "ckpt.sched_loaded",
            calls=("*sched*.load_state_dict", "*lr_scheduler.*().load_state_dict", *_STATE_BACK),
            keywords=_RESUMES,
        ),
        # Nothing to save where the rate follows from the step.
        Signal(
            "ckpt.sched_computed",
            functions=("learning_rate_at", "lr_at", "get_lr", "lr_lambda", "lr_scale"),
            linked=(*_LOADED, "train.step"),
        ),
        Signal(
            "ckpt.rng_saved",
            calls=(
                "*.get_rng_state",
                "*.get_rng_state_all",
                "random.getstate",
                "numpy.random.get_state",
                *_STATE,
            ),
            keywords=_HF_SAVES,
        ),
        Signal(
            "ckpt.rng_loaded",
            calls=(
                *("*.set_rng_state", "*.set_rng_state_all", "random.setstate", "numpy.random.set_state"),
                *_STATE_BACK,
            ),
            keywords=_HF_RESUME,
        ),
        # Nothing to save where every draw follows from the seed and the step.
        Signal(
            "ckpt.rng_derived",
            calls=("jax.random.fold_in",),
            functions=("draw_seed", "fold_in", "seed_at"),
            linked=(*_LOADED, "train.step"),
        ),
        Signal(
            "ckpt.data_saved",
            calls=("*sampler*.state_dict", "*loader*.state_dict", "ModelCheckpoint", *_STATE),
            keywords=_HF_SAVES,
        ),
        Signal(
            "ckpt.data_saved",
            made=("sampler", "data_position", "batch_idx", "samples_seen", "cursor", "dataloader"),
            linked=_SAVED,
        ),
        Signal(
            "ckpt.data_loaded",
            calls=(
                "skip_first_batches",
                "*sampler*.load_state_dict",
                "*loader*.load_state_dict",
                *_STATE_BACK,
            ),
            keywords=_RESUMES,
        ),
        Signal(
            "ckpt.data_loaded",
            read=("sampler", "data_position", "batch_idx", "samples_seen", "cursor", "dataloader"),
            linked=_LOADED,
        ),
        # Nothing to save where the batch of a step follows from the step.
        Signal(
            "ckpt.data_addressed",
            functions=("rows_of_step", "batch_rows", "batch_at", "order_at", "indices_at"),
            linked=(*_LOADED, "train.step"),
        ),
        Signal(
            "ckpt.atomic",
            calls=("os.replace", "os.rename", "*.replace_atomically", "atomic_write"),
            imports=("atomicwrites",),
            linked=_SAVED,
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
            "schedule saved",
            ("ckpt.sched_saved", "ckpt.sched_computed"),
            "the schedule's state is not saved",
            "a resumed run warms up again",
            "save and load the scheduler, or compute the rate from the step",
        ),
        Need(
            "schedule loaded",
            ("ckpt.sched_loaded", "ckpt.sched_computed"),
            "the schedule does not go on where it was",
            "a resumed run warms up again",
            "save and load the scheduler, or compute the rate from the step",
        ),
        Need(
            "random state saved",
            ("ckpt.rng_saved", "ckpt.rng_derived"),
            "the random state is not saved",
            "a resumed run is another run",
            "save and load the states of all generators",
            4,
        ),
        Need(
            "random state loaded",
            ("ckpt.rng_loaded", "ckpt.rng_derived"),
            "the random state is not restored",
            "a resumed run is another run",
            "save and load the states of all generators",
            4,
        ),
        Need(
            "data position saved",
            ("ckpt.data_saved", "ckpt.data_addressed"),
            "the position in the data is not saved",
            "samples are repeated or skipped after a resume",
            "save the position and skip to it",
            4,
        ),
        Need(
            "data position loaded",
            ("ckpt.data_loaded", "ckpt.data_addressed"),
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
