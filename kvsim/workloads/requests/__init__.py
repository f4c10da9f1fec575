"""Requests: prompts that arrive, with the blocks they share."""

from kvsim.workloads.requests import agents, documents, sessions, tenants, trace, users
from kvsim.workloads.requests.base import Request, RequestWorkload
from kvsim.workloads.requests.registry import asks_requests, make_requests, register_requests

__all__ = [
    "Request",
    "RequestWorkload",
    "agents",
    "asks_requests",
    "documents",
    "make_requests",
    "register_requests",
    "sessions",
    "tenants",
    "trace",
    "users",
]
