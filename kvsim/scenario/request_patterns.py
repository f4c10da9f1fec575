"""Workloads of requests that are made up: sessions, shared documents, agents, users, several tenants."""

from typing import Annotated, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Index, Name, Spec
from kvsim.scenario.requests import ArrivalSpec, RequestSpec
from kvsim.units import Duration

__all__ = [
    "Agents",
    "ChatSessions",
    "ContextSpec",
    "MultiTenant",
    "Pattern",
    "PatternSpec",
    "PauseSpec",
    "SharedDocuments",
    "TokensSpec",
    "TurnsSpec",
    "Users",
]

_Exponent = Annotated[float, Field(strict=True, ge=0, le=16, allow_inf_nan=False)]
_Sigma = Annotated[float, Field(strict=True, ge=0, le=5, allow_inf_nan=False)]


class TokensSpec(Spec):
    """A number of tokens, drawn each time it is needed."""

    mean: Count
    """Tokens on average."""
    sigma: _Sigma = 0.0
    """Standard deviation of their logarithm: they are lognormal, rounded, at least 1. 0: always the mean.
    Default 0."""
    most: Count | None = None
    """Larger numbers are cut to this one, which lowers the average. Default: no limit."""


class PauseSpec(Spec):
    """A time that passes, drawn each time it is needed."""

    mean: Duration
    """Time on average."""
    distribution: Literal["exponential", "lognormal", "fixed"] = "exponential"
    """How it is drawn; `fixed`: always the mean. Default `exponential`."""
    sigma: _Sigma = 1.0
    """Standard deviation of its logarithm, for `lognormal`. Default 1."""


class TurnsSpec(Spec):
    """How often something is done, 1 or more, drawn each time it is needed."""

    mean: Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)]
    """Number on average."""
    distribution: Literal["geometric", "fixed"] = "geometric"
    """`geometric`: after each time the same chance to go on. `fixed`: always the mean, rounded. Default
    `geometric`."""


class PatternSpec(RequestSpec):
    """What all made-up workloads of requests share.

    They have no times of their own: with the process `trace` all start together.
    """

    block_tokens: Count = 16
    """Tokens of one block. Default 16."""
    arrivals: ArrivalSpec = ArrivalSpec(process="poisson", rate=1.0)
    """When sessions, runs, or else requests arrive. Default: independent of each other, one a second."""


class ContextSpec(PatternSpec):
    """What workloads share whose prompts hold all that was said before."""

    loop: Literal["closed", "open"] = "closed"
    """`closed`: a request follows its pause after the end of the one before. `open`: after its arrival,
    however long that one takes. Default `closed`."""
    system_tokens: Index = 1000
    """Tokens that prompts with the same system prompt begin with. Default 1000."""
    system_prompts: Count = 1
    """System prompts, all as long; prompt i is chosen with the weight 1 / (i + 1) ** alpha. Default 1."""
    alpha: _Exponent = 1.0
    """Exponent of their popularity; 0 makes all equally popular. Default 1."""
    context_limit: Annotated[int, Field(strict=True, ge=2)] | None = None
    """Most tokens of prompt and output together. What would exceed it ends; a first request is cut to it.
    Default: no limit."""


class ChatSessions(ContextSpec):
    """Conversations whose every prompt is all that was said before and what the user adds."""

    kind: Literal["chat_sessions"] = "chat_sessions"
    """Which workload this is."""
    sessions: Count = 100
    """Number of conversations. Default 100."""
    turns: TurnsSpec = TurnsSpec(mean=5.0)
    """Requests of a conversation. Default 5 on average, geometric."""
    first_tokens: TokensSpec = TokensSpec(mean=500, sigma=1.0)
    """What the user begins with, behind the system prompt. Default 500 on average, sigma 1."""
    user_tokens: TokensSpec = TokensSpec(mean=100, sigma=1.0)
    """What the user adds in each later turn. Default 100 on average, sigma 1."""
    output_tokens: TokensSpec = TokensSpec(mean=250, sigma=0.8)
    """Tokens of an answer. Default 250 on average, sigma 0.8."""
    think: PauseSpec = PauseSpec.model_validate({"mean": "30 s"})
    """Time until the user's next turn. Default 30 s on average, exponential."""


class SharedDocuments(PatternSpec):
    """Questions about documents of a library: system prompt, the documents retrieved, the question.

    Only whole prefixes are shared: a document behind another one, or behind nothing, is other blocks.
    """

    kind: Literal["shared_documents"] = "shared_documents"
    """Which workload this is."""
    requests: Count = 1000
    """Number of questions. Default 1000."""
    documents: Count = 1000
    """Documents of the library; document i is retrieved with the weight 1 / (i + 1) ** alpha. Default
    1000."""
    alpha: _Exponent = 1.0
    """Exponent of their popularity; 0 makes all equally popular. Default 1."""
    document_tokens: TokensSpec = TokensSpec(mean=2000, sigma=0.5)
    """Tokens of a document, the same in each prompt. Default 2000 on average, sigma 0.5."""
    retrieved: Count = 3
    """Different documents of a prompt, at most `documents`. Default 3."""
    order: Literal["retrieved", "sorted"] = "retrieved"
    """How they stand in the prompt: `retrieved`, as they are drawn; `sorted`, by number, which is by
    popularity, so that more prefixes are equal. Default `retrieved`."""
    system_tokens: Index = 500
    """Tokens that all prompts begin with. Default 500."""
    question_tokens: TokensSpec = TokensSpec(mean=50, sigma=0.8)
    """Tokens of a question. Default 50 on average, sigma 0.8."""
    output_tokens: TokensSpec = TokensSpec(mean=200, sigma=0.8)
    """Tokens of an answer. Default 200 on average, sigma 0.8."""


class Agents(ContextSpec):
    """Agents that call a tool in each step, whose result and their own output are the next step's prompt.

    After one of its steps an agent may start others, which go on from its context beside each other, each
    with a task of its own; when all have ended it goes on with what they put out last.
    """

    kind: Literal["agents"] = "agents"
    """Which workload this is."""
    runs: Count = 50
    """Number of agents that are started from outside. Default 50."""
    steps: TurnsSpec = TurnsSpec(mean=10.0)
    """Requests of such an agent. Default 10 on average, geometric."""
    system_tokens: Index = 4000
    """Tokens of instructions and descriptions of tools that prompts begin with. Default 4000."""
    task_tokens: TokensSpec = TokensSpec(mean=300, sigma=0.8)
    """Tokens of the task of an agent. Default 300 on average, sigma 0.8."""
    tool_tokens: TokensSpec = TokensSpec(mean=600, sigma=1.2)
    """Tokens of the result of a tool. Default 600 on average, sigma 1.2."""
    output_tokens: TokensSpec = TokensSpec(mean=150, sigma=0.8)
    """Tokens put out in a step. Default 150 on average, sigma 0.8."""
    tool_time: PauseSpec = PauseSpec.model_validate({"mean": "2 s"})
    """Time that a tool takes. Default 2 s on average, exponential."""
    branches: Index = 0
    """Agents that an agent starts. Default 0."""
    branch_after: Count = 1
    """The step after which it starts them; one more follows at least. Default 1."""
    branch_steps: TurnsSpec = TurnsSpec(mean=4.0)
    """Requests of an agent so started. Default 4 on average, geometric."""


class Users(PatternSpec):
    """Users who each wait for an answer, think, and ask again: a closed queue. Nothing is shared."""

    kind: Literal["users"] = "users"
    """Which workload this is."""
    users: Count = 1
    """Number of users. Default 1."""
    requests: Count = 1000
    """Requests of all users together, the same number each, one more or less. Default 1000."""
    input_tokens: TokensSpec = TokensSpec(mean=1000)
    """Tokens of a prompt. Default 1000."""
    output_tokens: TokensSpec = TokensSpec(mean=100)
    """Tokens of an answer. Default 100."""
    think: PauseSpec = PauseSpec.model_validate({"mean": "10 s"})
    """Time from an answer to the next prompt, and from the start to the first. Default 10 s on average,
    exponential."""
    arrivals: ArrivalSpec = ArrivalSpec()
    """When the users' first requests arrive. Default: after a time to think each."""


Pattern = Annotated[ChatSessions | SharedDocuments | Agents | Users, Field(discriminator="kind")]
"""A made-up workload of one tenant; the key `kind` says which."""


class MultiTenant(RequestSpec):
    """Several made-up workloads at once, each that of a tenant, with arrivals of its own."""

    kind: Literal["multi_tenant"] = "multi_tenant"
    """Which workload this is."""
    tenants: Annotated[dict[Name, Pattern], Field(min_length=1)]
    """Workloads by the tenant's name, all with the same `block_tokens`, none with `block_bytes` of its own.
    Tenants share no prompts."""

    @property
    def block_tokens(self) -> int:
        """Tokens of one block."""
        return next(iter(self.tenants.values())).block_tokens
