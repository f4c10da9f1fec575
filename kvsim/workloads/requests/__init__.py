"""Requests: prompts that arrive, with the blocks they share."""

from kvsim.workloads.requests.base import Request, RequestWorkload

__all__ = ["Request", "RequestWorkload"]
