"""How one key of the schema is declared: its meaning, its limits and its role in the run's identity."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

Role = Literal["identity", "horizon", "operational"]

#: Every section refuses keys that it does not know, and numbers that JSON does not have.
FORBID = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def key(doc: str, *, role: Role = "identity", form: str | None = None, **limits: Any) -> Any:
    """Declare a key.

    *role* says what a changed value does to a run: *identity* makes it another run, *horizon* may
    grow when the run goes on, *operational* is never compared. *limits* are pydantic's (gt, ge, …);
    *form* says in words what a pattern among them wants, where the meaning does not say it.
    """
    extra: dict[str, Any] = {"role": role} if form is None else {"role": role, "form": form}
    return Field(description=doc, json_schema_extra=extra, **limits)
