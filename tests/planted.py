"""Sixty secrets of many kinds, drawn from a fixed seed so that none stands in a file, and harmless keys."""

from __future__ import annotations

import base64
import random
import string
from dataclasses import dataclass
from urllib.parse import quote

_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_RANDOM = random.Random(20250905)

#: Shapes of tokens that issuers document: prefix, alphabet, length, suffix.
_SHAPES = (
    ("ghp_", _ALNUM, 36), ("gho_", _ALNUM, 36), ("ghs_", _ALNUM, 36), ("github_pat_", _ALNUM, 60),
    ("glpat-", _ALNUM, 20), ("glrt-", _ALNUM, 20), ("AKIA", string.ascii_uppercase + "234567", 16),
    ("ASIA", string.ascii_uppercase + "234567", 16), ("hf_", string.ascii_letters, 34),
    ("sk-", _ALNUM, 48), ("sk-proj-", _ALNUM, 64), ("sk-ant-api03-", _ALNUM, 80), ("gsk_", _ALNUM, 52),
    ("r8_", _ALNUM, 37), ("pplx-", _ALNUM, 48), ("xoxb-1234567890-", _ALNUM, 24), ("xoxp-", _ALNUM, 40),
    ("AIza", _ALNUM, 35), ("ya29.", _ALNUM, 60), ("GOCSPX-", _ALNUM, 28), ("sk_live_", _ALNUM, 24),
    ("rk_live_", _ALNUM, 24), ("whsec_", _ALNUM, 32), ("npm_", _ALNUM, 36),
    ("pypi-AgEIcHlwaS5vcmc", _ALNUM, 60),
    ("rubygems_", _HEX, 48), ("dop_v1_", _HEX, 64), ("dapi", _HEX, 32), ("dckr_pat_", _ALNUM, 27),
    ("shpat_", _HEX, 32), ("lin_api_", _ALNUM, 40), ("ntn_", _ALNUM, 46), ("hvs.", _ALNUM, 90),
    ("glsa_", _ALNUM, 40), ("PMAK-" + "0a" * 12 + "-", _HEX, 34), ("sbp_", _HEX, 40), ("key-", _HEX, 32),
)  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A secret and a sentence, setting or line that holds it."""

    secret: str
    text: str

    def forms(self) -> tuple[bytes, ...]:
        """The secret as it is, percent-encoded and in base64, as bytes that no artifact may hold."""
        raw = self.secret.encode()
        coded = {base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}
        return (raw, quote(self.secret, safe="").encode(), *sorted(coded))


def draw(alphabet: str, length: int) -> str:
    return "".join(_RANDOM.choices(alphabet, k=length))


def _tokens() -> list[Planted]:
    tokens = [prefix + draw(alphabet, length) for prefix, alphabet, length in _SHAPES]
    tokens.append(f"SG.{draw(_ALNUM, 22)}.{draw(_ALNUM, 43)}")
    tokens.append(f"{draw(string.digits, 9)}:AA{draw(_ALNUM, 33)}")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(b'{"sub":"1234567890","admin":true}').decode().rstrip("=")
    tokens.append(f"{head}.{body}.{draw(_ALNUM, 43)}")
    return [Planted(token, f"fetched with {token} at step 3") for token in tokens]


def _under_keys() -> list[Planted]:
    """Secrets without a form of their own, told by the key alone."""
    lines = (
        "password={}", "DB_PASSWORD='{}'", '"client_secret": "{}"', "--api-key {}", "--auth-token={}",
        "Authorization: Bearer {}", "X-Api-Key: {}", "aws_secret_access_key = {}", "HF_TOKEN={}",
        "WANDB_API_KEY={}", "https://data.example/rows?user=1&access_token={}", "export MY_CORP_SECRET={}",
        "postgresql://trainer:{}@db.internal:5432/runs", "https://{}@git.example/team/repo.git",
        "AccountName=store;AccountKey={};EndpointSuffix=x", "machine git.example login me password {}",
        "https://blob.example/c?sv=2024&sig={}", "the token is {} for now", "curl -u trainer:{} https://x",
        'passphrase: "{}"',
    )  # fmt: skip
    return [Planted(secret, line.format(secret)) for line in lines for secret in [draw(_ALNUM, 26)]]


TOKENS = _tokens()
UNDER_KEYS = _under_keys()
PLANTED = [*TOKENS, *UNDER_KEYS]
_PRIVATE = "PRIVATE" + " KEY"  # put together, so that this file is itself no finding
PRIVATE_KEY = "\n".join(
    [
        f"-----BEGIN OPENSSH {_PRIVATE}-----",
        *(draw(_ALNUM + "+/", 70) for _ in range(5)),
        f"-----END OPENSSH {_PRIVATE}-----",
    ]
)

#: Keys of configurations, metrics and records that sound like secrets or are usual, with a value each.
HARMLESS = dict(
    row.split(maxsplit=1)
    for row in """
use_cls_token true
tokenizer bpe-4096
max_tokens 512
token_accuracy 0.734
secret_santa_count 12
author Grace_Hopper
authors Ada_Lovelace,Grace_Hopper
eos_token <|endoftext|>
bos_token <s>
pad_token [PAD]
unk_token <unk>
sep_token [SEP]
cls_token [CLS]
mask_token [MASK]
additional_special_tokens <|fim_prefix|>,<|fim_suffix|>
pad_token_id 0
eos_token_id 50256
token_type_ids 0,0,1
tokens_per_second 5065.2
num_tokens 1048576
add_bos_token true
image_token <image>
fim_prefix_token <|fim_prefix|>
end_token </s>
start_token <s>
new_token added
next_token def
last_token return
first_token import
stop_token newline
newline_token <0x0A>
tokenizer_sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
tokenizer.name gpt2
tokenizer_path /data/tokenizers/bpe
token_embedding wte.weight
token_count 77
tokenize_seconds 1.25
token_budget 4096
prompt_tokens 12
completion_tokens 99
total_tokens 111
max_new_tokens 256
detokenize true
monkey capuchin
monkey_patch false
keyboard qwerty
key loss
keys loss,grad_norm
sort_key created
primary_key run_id
foreign_key document_id
cache_key 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
text_key content
key_padding_mask none
past_key_values 12
num_key_value_heads 4
kv_heads 2
query_key_norm true
key_dim 64
turkey_day 2025-11-27
hockey_score 3
passage The_quick_brown_fox
passages 14
bypass false
compass north
passed true
tests_passed 812
pass_at_k 0.31
pass@1 0.12
num_passes 2
forward_pass 0.8
backward_pass 1.6
first_pass done
password_policy_min_length 12
password_count 0
passenger_count 3
authority local
authentic yes
author_email_count 3
authored_by model-card
auth_method none
oauth_enabled false
secretary Smith
secrets_found 0
secrets redact
secret_scan on
secret_rules gitleaks
cookiecutter template
cookies_enabled false
credentials_checked true
accessibility high
access_mode read-only
access_count 9
private false
privateer Drake
private_bytes 1048576
public_key_algorithm ed25519
signature_version 4
signature def(x)
signed true
design round-up
assignment greedy
seed 1337
seed_everything 42
run_id 0b4c1d2e3f405162738495a6b7c8d9ea
identity_sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
commit 2b7ba33c0f5d3d0e6a1b4f3c9f7c6b5a4d3e2f10
parent_commit 74c5fa1c0f5d3d0e6a1b4f3c9f7c6b5a4d3e2f10
uuid 123e4567-e89b-12d3-a456-426614174000
boot_id 5f3c1d8e-7b2a-4c6d-9e0f-a1b2c3d4e5f6
path /work/runs/demo/checkpoints/step-00000100
model.safetensors /runs/demo/export/model.safetensors
data.path corpus/python/src
url https://example.org/datasets/code.tar.gz
homepage https://huggingface.co/docs/transformers
remote https://github.com/team/project.git
branch feature/token-weighted-loss
tag v1.4.2
dirty false
train.lr 3e-4
train.steps 2000
train.batch 16
train.warmup 100
train.schedule cosine
optimizer adamw
weight_decay 0.1
betas 0.9,0.95
grad_clip 1.0
grad_norm 0x1.8p+1
loss 2.3456
perplexity 10.44
bits_per_byte 1.21
learning_rate 0.0003
epoch 3
step 1200
global_step 1200
batch_size 16
sequence_length 256
context 512
layers 8
dim 384
heads 6
dropout 0.1
vocab_size 4096
dtype bfloat16
device cpu
threads 2
compile true
determinism exact
shards 8
sharding none
engine native
objective lm
format 1
created 1762000000.25
started 1762000001
host host-3f2a
user user-91bc
kernel 6.8.0-45-generic
cpu AMD_EPYC_9R14
cores 2
memory_bytes 33554432000
python 3.11.7
torch 2.13.0+cpu
numpy 2.3.5
transformers 5.23.0
platform Linux-6.8.0-x86_64-with-glibc2.36
libc glibc-2.36
driver_version 550.54.15
cuda 12.4
cudnn 90100
nccl 2.21.5
omp_num_threads 2
mkl_num_threads 2
cublas_workspace_config :4096:8
cuda_visible_devices 0,1
pythonhashseed 0
hf_hub_offline 1
slurm_job_id 123456
license Apache-2.0
spdx MIT
language python
library_name transformers
pipeline_tag text-generation
tags code,codex-ml
dataset_digest 03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4
merkle_root 88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589
rows 10240
documents 2048
duplicates 17
min_tokens 8
source stdlib
split 0.9,0.05,0.05
lora.r 8
lora.alpha 16
lora.targets q_proj,v_proj
lora.variant dora
beta 0.1
temperature 0.8
top_p 0.95
top_k 50
num_samples 10
eval.every 100
eval.tasks humaneval
tracking.sinks ndjson,csv,mlflow
mlflow_run_id 4f2d8c1b3a5e69708192a3b4c5d6e7f8
experiment tiny
wandb_project codex
system_every 15
queue 4096
patience 30
checkpoint.every 100
checkpoint.keep_last 3
checkpoint.metric validation/loss
weights_sha256 fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
journal_head d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592
samples 2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6
description A_small_code_language_model
""".strip().splitlines()
)
