"""What each kind is put through. Components are built as the program builds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codex_ml.testing.checks import data, learning, program

CHECKS: Mapping[str, tuple[Callable[[Any, Path], None], ...]] = {
    "tokenizers": (
        data.decoding_gives_back_what_was_encoded,
        data.ids_are_below_the_size_of_the_vocabulary,
        data.batches_are_padded_and_cut_as_asked,
    ),
    "models": (
        learning.a_model_gives_finite_logits_for_each_position,
        learning.a_position_sees_only_what_is_before_it,
    ),
    "metrics": (
        data.the_same_arguments_give_the_same_finite_number,
        data.lists_of_different_lengths_are_refused,
    ),
    "data_sources": (data.documents_come_twice_in_the_same_order, data.inputs_are_hashed_and_in_order),
    "objectives": (learning.a_loss_is_a_sum_that_can_be_differentiated,),
    "reward_models": (
        learning.rewards_are_finite_and_the_same_alone_and_together,
        learning.learning_gives_numbers,
    ),
    "rl_agents": (learning.an_agent_acts_by_its_seed, learning.a_saved_agent_acts_as_it_did),
    "trackers": (
        program.records_of_a_run_are_taken_and_it_is_closed,
        program.a_run_that_is_resumed_opens_it_again,
    ),
    "callbacks": (program.a_record_of_a_step_is_taken,),
    "audit_rules": (program.a_rule_looks_at_code_and_leaves_the_repository_alone,),
    "commands": (program.a_command_explains_itself,),
    "config_groups": (program.groups_hold_yaml,),
    "safety_classifiers": (data.a_score_is_between_0_and_1,),
}
