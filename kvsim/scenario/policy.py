"""Who decides: the names of the policies and their options."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from kvsim.scenario.base import Flag, Name, Spec
from kvsim.units import Duration

__all__ = ["PolicyRef", "PolicySpec"]


class PolicyRef(Spec):
    """A policy by name, with options if it has any. In YAML a plain name will do."""

    name: Name
    """Registered name, or `module:Class`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the policy is built with. Default: its own defaults."""

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.options else self.name


def _from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


_Ref = Annotated[PolicyRef, BeforeValidator(_from_name)]


class PolicySpec(Spec):
    """The three decisions: what leaves, what comes early, where pages start."""

    eviction: _Ref = PolicyRef(name="lru")
    """Which page leaves a full tier. Default `lru`."""
    prefetch: _Ref = PolicyRef(name="none")
    """Which pages are fetched before they are asked for. Default `none`."""
    placement: _Ref = PolicyRef(name="fill")
    """Where pages start, and which move meanwhile. Fixed: `fill` the fastest tier first, all in the `last`,
    `static`, `static_split`, `parallel`. By what is read: `adaptive`, `tuned`, `predictive`, `hot_warm_cold`,
    and the `oracle`. Default `fill`."""
    decision_time: Duration = 0
    """Time that the placement policy takes on the step, after its last layer, in each step in which it weighs
    where pages should be. Policies that decide once take none, nor does anything in `ideal`. Default 0."""
    decision_time_per_page: Duration = 0
    """The same for each page that it weighs. Default 0."""
    lossy: Flag = False
    """true: a page that no tier has room for is discarded for good: later reads of it are skipped and counted
    as lost, instead of computing it again or finding it in the last tier. Default false."""
