"""Which files a strategy may open: those that its parameters name, and its code; whatever else holds cannot be cut."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from chipwire.engine.validation.audit_jobs import Request

Rows = list[tuple[str, str, str]]


def files_opened(opened: Mapping[str, Collection[str]], request: Request) -> tuple[Rows, list[tuple[str, str]]]:
    """Judge the files that a strategy opened in all runs.

    Returns
    -------
    checks : list of (name, result, detail)
    leaks : list of (check, detail)
    """
    named = {str(Path(value).absolute()) for value in request.params.values()}
    folder = str(request.real_path.absolute().parent)
    leaks, notes = [], []
    for path, modes in sorted(opened.items()):
        if path in named or any(path.startswith(name + os.sep) for name in named):
            notes.append(f"it reads {path}, as its parameters say, which cannot be cut")
        elif path.startswith(str(request.real_path.absolute())):
            leaks.append(f"it opens the warehouse itself ({path})")
        elif {"read", "write"} <= set(modes):
            leaks.append(f"it writes and reads {path}: what one run leaves, another finds")
        elif "read" in modes:
            where = ", beside the warehouse," if str(Path(path).parent) == folder else ""
            leaks.append(f"it reads {path}{where} which no parameter names: what it holds cannot be cut")
        else:
            notes.append(f"it writes {path}")
    if not leaks and not notes:
        return [("files", "ok", "it opens none but code")], []
    result = "leak" if leaks else "note"
    return [("files", result, "; ".join([*leaks, *notes]))], [("files", leak) for leak in leaks]
