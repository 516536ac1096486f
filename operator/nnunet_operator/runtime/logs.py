"""Logging: one JSON object a line, with the object that a line is about."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

from nnunet_operator.runtime.keys import Request

_request: ContextVar[Request | None] = ContextVar("request", default=None)


@contextmanager
def about(request: Request) -> Iterator[None]:
    """Mark what is logged inside as being about an object."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


class _JsonFormatter(JsonFormatter):
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        request = _request.get()
        if request:
            log_data["kind"], log_data["namespace"], log_data["name"] = request
        # kopf's way of naming the object that a line is about, and settings that it attaches for its own use
        for foreign in ("k8s_ref", "k8s_skip", "settings"):
            log_data.pop(foreign, None)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = _request.get()
        line = super().format(record)
        return f"{line} [{request}]" if request and "\n" not in line else line


def configure_logging(level: str, form: Literal["json", "text"]) -> None:
    """Send all logs to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_JsonFormatter("%(message)s", timestamp="time"))
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    debug = level == "DEBUG"
    # kopf tells of each event that it hands over; what became of it is ours to log.
    logging.getLogger("kopf.objects").setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(True)
