"""Validations in the warehouse: append-only, so that what was believed of a sweep or a run before stays known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

import chipwire
from chipwire.data.warehouse import Warehouse, load_sql


def store(warehouse: Warehouse, subject: str, kind: str, payload: Mapping[str, Any]) -> str:
    """Write down a validation, unless the last of its kind says the same, and return its id.

    Parameters
    ----------
    subject : str
        Id of the run or the sweep.
    kind : str
        Such as ``luck`` or ``walk_forward``.
    payload : mapping
        Plain values; numbers finite or None.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
    last = warehouse.rows(load_sql("chipwire.engine.validation", "latest.sql"), {"subject": subject, "kind": kind})
    if last and last[0][1] == text:
        return str(last[0][0])
    with warehouse.transaction():
        number = warehouse.value("SELECT coalesce(max(validation_no), 0) + 1 FROM validation")
        digest = hashlib.blake2b(f"{number}\n{subject}\n{kind}\n{text}".encode(), digest_size=6).hexdigest()
        row = {
            "validation_id": digest, "validation_no": number, "subject": subject, "kind": kind, "payload": text,
            "code_version": chipwire.__version__,
        }  # fmt: skip
        warehouse.insert("validation", pa.Table.from_pylist([row]))
    return digest


def latest(warehouse: Warehouse, subject: str, kind: str) -> dict[str, Any] | None:
    """Return the payload of a subject's last validation of a kind, or None."""
    last = warehouse.rows(load_sql("chipwire.engine.validation", "latest.sql"), {"subject": subject, "kind": kind})
    return dict(json.loads(last[0][1])) if last else None


def payloads(warehouse: Warehouse, kind: str) -> list[dict[str, Any]]:
    """Return the payloads of all validations of a kind, the first made first."""
    rows = warehouse.rows("SELECT payload FROM validation WHERE kind = ? ORDER BY validation_no", [kind])
    return [dict(json.loads(text)) for (text,) in rows]


def stored_check(warehouse: Warehouse, run_id: str) -> dict[str, Any] | None:
    """Return the last check of a run, as `chipwire.engine.validation.run_check.RunCheck.as_json` gives it, or None."""
    return latest(warehouse, run_id, "check")
