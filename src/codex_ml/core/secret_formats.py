"""Tokens that can be told by their form alone, whoever's key or sentence they stand in.

The prefixes are those that the issuers document (GitHub's and GitLab's token prefixes, AWS unique
identifiers, …) and that gitleaks and detect-secrets look for. Every pattern is linear: bounded
repeats of one class, no nested ones. The hints are plain strings of which one stands in every match,
so that a text without any is never searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_W = r"[A-Za-z0-9_-]"  # the URL-safe base64 alphabet
_A = r"[A-Za-z0-9]"


@dataclass(frozen=True)
class Format:
    """One kind of secret: what it is called in its place, and how it looks."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _format(kind: str, hints: str, pattern: str) -> Format:
    return Format(kind, tuple(hints.split()), re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})"))


FORMATS = (
    _format("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", rf"gh[pousr]_{_A}{{20,255}}"),
    _format("github-token", "github_pat_", r"github_pat_\w{20,255}"),
    _format(
        "gitlab-token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[\w.-]{16,200}",
    ),
    _format("aws-access-key", "AKIA ASIA ABIA ACCA", r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _format("huggingface-token", "hf_ api_org_", rf"(?:hf|api_org)_{_A}{{30,100}}"),
    _format("anthropic-key", "sk-ant-", rf"sk-ant-{_W}{{16,200}}"),
    _format("openai-key", "sk-", rf"sk-(?:{_A}{{2,12}}-){{0,2}}[A-Za-z0-9_]{{16,200}}{_W}{{0,200}}"),
    _format("groq-key", "gsk_", rf"gsk_{_A}{{40,80}}"),
    _format("replicate-token", "r8_", rf"r8_{_A}{{36,60}}"),
    _format("perplexity-key", "pplx-", rf"pplx-{_A}{{40,80}}"),
    _format("xai-key", "xai-", rf"xai-{_A}{{60,100}}"),
    _format("pinecone-key", "pcsk_", rf"pcsk_{_W}{{40,120}}"),
    _format("wandb-key", "wandb_v1_", rf"wandb_v1_{_W}{{20,200}}"),
    _format("slack-token", "xox xapp-", rf"(?:xox[abeoprs]|xapp)-{_W}{{10,255}}"),
    _format(
        "slack-webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{20,120}",
    ),
    _format(
        "discord-webhook", "/api/webhooks/", rf"discord(?:app)?\.com/api/webhooks/\d{{1,24}}/{_W}{{20,99}}"
    ),
    _format("telegram-token", ":AA", rf"\d{{8,10}}:AA{_W}{{33}}"),
    _format("google-key", "AIza", rf"AIza{_W}{{35}}"),
    _format("google-token", "ya29. GOCSPX- 1//0", rf"(?:ya29\.|GOCSPX-|1//0){_W}{{20,400}}"),
    _format("stripe-key", "_live_ _test_", rf"[srp]k_(?:live|test)_{_A}{{16,200}}"),
    _format("webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,100}"),
    _format("npm-token", "npm_", rf"npm_{_A}{{36,60}}"),
    _format("pypi-token", "pypi-Ag", rf"pypi-Ag{_W}{{20,400}}"),
    _format("rubygems-key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    _format("jwt", "eyJ", rf"eyJ{_W}{{8,4000}}\.{_W}{{4,8000}}\.{_W}{{0,2000}}"),
    _format("azure-secret", "Q~", r"[\w~.]{3}\dQ~[\w~.-]{31,34}"),
    _format("sendgrid-key", "SG.", rf"SG\.{_W}{{16,40}}\.{_W}{{16,80}}"),
    _format("mailgun-key", "key-", r"key-[0-9a-f]{32}(?![0-9a-f])"),
    _format("mailchimp-key", "-us", r"[0-9a-f]{32}-us\d{1,2}"),
    _format("twilio-key", "SK", r"SK[0-9a-f]{32}(?![0-9a-f])"),
    _format("digitalocean-token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _format("databricks-token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _format("docker-token", "dckr_", rf"dckr_[op]at_{_W}{{20,80}}"),
    _format("shopify-token", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _format("square-token", "sq0", rf"sq0(?:atp|csp)-{_W}{{22,60}}"),
    _format("linear-key", "lin_api_", rf"lin_api_{_A}{{30,60}}"),
    _format("notion-token", "ntn_ secret_", rf"(?:ntn|secret)_{_A}{{40,60}}"),
    _format("vault-token", "hvs. hvb. hvr.", rf"hv[sbr]\.{_W}{{20,300}}"),
    _format("terraform-token", ".atlasv1.", rf"{_A}{{14}}\.atlasv1\.{_W}{{50,100}}"),
    _format("grafana-token", "glsa_ glc_", r"gl(?:sa|c)_[\w=+/-]{30,400}"),
    _format("newrelic-key", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    _format("sentry-token", "sntry", r"sntry[su]_[\w=+/-]{30,400}"),
    _format("doppler-token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.]{36,100}"),
    _format("postman-key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _format("atlassian-token", "ATATT3", r"ATATT3[\w=-]{40,300}"),
    _format("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _format("supabase-token", "sbp_", r"sbp_[0-9a-f]{40}"),
    _format("fly-token", "fm2_ fo1_", r"f(?:m2|o1)_[\w+/=,-]{30,2000}"),
    _format("heroku-key", "HRKU-", rf"HRKU-{_W}{{30,100}}"),
)
