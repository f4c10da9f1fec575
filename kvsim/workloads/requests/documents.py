"""Questions about documents that are put into the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

from kvsim.scenario.request_patterns import SharedDocuments as Spec
from kvsim.workloads.requests import draws
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.blocks import Text
from kvsim.workloads.requests.pattern import SyntheticRequests
from kvsim.workloads.requests.registry import register_requests

__all__ = ["SharedDocuments"]


@register_requests
class SharedDocuments(SyntheticRequests[Spec]):
    """Each prompt is the system prompt, the documents retrieved, and a question that nobody else asks.

    A block is found again where all that stands before it is the same: a document only behind the same
    documents. Blocks are numbered by what they hold (`BlockNumbers.named`), so no prompt is remembered.
    """

    name: ClassVar[str] = "shared_documents"

    def planned(self) -> int | None:
        """All questions."""
        return self.spec.requests

    def asked(self) -> Iterator[Request]:
        """All questions."""
        spec, numbers = self.spec, self.lane.numbers()
        lengths = list(islice(draws.tokens(spec.document_tokens, self.random("documents")), spec.documents))
        retrieved = draws.distinct(spec.documents, spec.alpha, spec.retrieved, self.random("retrieved"))
        questions = draws.tokens(spec.question_tokens, self.random("questions"))
        outputs = draws.tokens(spec.output_tokens, self.random("output"))
        system = numbers.take(spec.system_tokens // spec.block_tokens)
        for documents in islice(retrieved, spec.requests):
            text = Text(numbers, spec.block_tokens, system, spec.system_tokens)
            if spec.order == "sorted":
                documents.sort()
            for count, document in enumerate(documents, 1):
                text.add(lengths[document], numbers.named(*documents[:count]))
            text.add(next(questions))
            prompt, blocks, output = text.tokens, text.blocks(), next(outputs)
            yield Request(0, prompt, output, blocks, (), self.lane.tenant)
