"""Where is kept what can be made again (unpacked files, byte indices)? In one folder per user.

The folder is ``ALIQUOT_CACHE`` if set, else the platform's place for caches. Nothing is ever put beside the user's
files. Deleting the folder costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

__all__ = ["cache_folder", "file_key"]


def cache_folder(*parts: str) -> Path:
    """The cache folder, or a folder in it; made if it does not exist."""
    chosen = os.environ.get("ALIQUOT_CACHE")
    if chosen:
        root = Path(chosen)
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches" / "aliquot"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aliquot"
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def file_key(path: Path) -> str:
    """Name of the state of a file: its place, size and time of change."""
    state = path.stat()
    text = f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
