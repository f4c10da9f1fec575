"""Requests: prompts that arrive, with the blocks they share."""

from kvsim.workloads.requests.base import Request, RequestWorkload
from kvsim.workloads.requests.registry import asks_requests, make_requests, register_requests

__all__ = ["Request", "RequestWorkload", "asks_requests", "make_requests", "register_requests"]
