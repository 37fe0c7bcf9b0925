"""Training: steps that can be accumulated, clipped, seeded, stopped and resumed."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "training",
    "Training Engine",
    signals=(
        Signal(
            "train.step",
            calls=(
                *("*.backward", "Trainer().train", "Trainer().fit", "trainer.train", "trainer.fit"),
                *("autograd.grad", "*.training_step", "SFTTrainer().train", "*Trainer().train"),
            ),
            outside=("Function",),  # an operator's own gradient
            promises=("train", "fit", "train_model", "run_training", "pretrain", "run_pipeline"),
        ),
        Signal(
            "train.step",
            functions=("training_step", "train_step", "train_one_epoch"),
            linked=("model.use",),
        ),
        Signal(
            "train.resume",
            keywords=(
                *((r"\.train$", "resume_from_checkpoint"), (r"\.fit$", "ckpt_path")),
                ("*", "resume_from"),
            ),
            calls=(
                *("*optim*.load_state_dict", "*Optim*().load_state_dict", "torch.optim.*().load_state_dict"),
                *("accelerator.load_state", "Accelerator().load_state"),
            ),
            functions=("resume_from", "resume_from_checkpoint", "load_optimizer"),
        ),
        Signal(
            "train.accumulate",
            names=(
                *(
                    "gradient_accumulation_steps",
                    "accumulate_grad_batches",
                    "grad_accum",
                    "accumulation_steps",
                ),
                *("grad_accum_steps", "accumulation", "accumulate"),
            ),
            read=("gradient_accumulation_steps", "accumulate_grad_batches"),
            # Their options hold those of the arguments of training.
            calls=("HfArgumentParser", "*.parse_args_into_dataclasses", "TrlParser"),
            bases=("HfArgumentParser",),
        ),
        Signal(
            "train.clip",
            calls=(
                *("clip_grad_norm_", "clip_grad_value_", "clip_gradients", "clip_grads_with_norm_"),
                *("transformers.Trainer", "transformers.Seq2SeqTrainer", "trl.*Trainer"),
            ),
            names=("max_grad_norm", "gradient_clip_val", "grad_clip", "clip_norm"),
            # The trainer of transformers clips at 1.0 unless told otherwise.
            bases=("transformers.Trainer", "transformers.Seq2SeqTrainer", "trl.SFTTrainer"),
            keywords=(("TrainingArguments$", "output_dir"), (r"(SFT|DPO|GRPO)Config$", "output_dir")),
        ),
    ),
    needs=(
        Need(
            "step",
            ("train.step",),
            "no training step",
            "nothing learns",
            "write the loop, or call a trainer",
            5,
        ),
        Need(
            "resume",
            ("train.resume",),
            "training cannot be resumed with its optimizer",
            "a stop costs the whole run",
            "restore model, optimizer, scheduler, random state and data position",
            5,
        ),
        Need(
            "accumulate",
            ("train.accumulate",),
            "no gradient accumulation",
            "the batch size follows the memory of the machine",
            "accumulate over micro-batches, weighted by their tokens",
            2,
        ),
        Need(
            "clip",
            ("train.clip",),
            "gradients are not clipped",
            "one bad batch ends a run",
            "clip the norm of the gradient and log it",
        ),
        Need(
            "seeded",
            ("repro.seed",),
            "no seed is set",
            "no run can be repeated",
            "seed Python, NumPy and torch at each entry point",
            4,
            without=("unseeded-entry",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the training step",
            "wrong step counts and losses pass unseen",
            "test a few steps of a tiny model, resumed and not",
            4,
        ),
    ),
)
