"""Whether a file of weights is still what was written, where that can be known.

Most single flipped bits of a safetensors file load as other weights, without a word. What says
more than the file itself: the manifest of a folder that luthier has written, and the cache of the
hub, where a large file lies under its SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from luthier.checkpoint.document import from_json
from luthier.checkpoint.files import told
from luthier.checkpoint.manifest import FORMAT, MANIFEST, DamagedError, Manifest
from luthier.errors import InputError

_BLOB = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 16 * 2**20


def must_be_unchanged(file: Path) -> None:
    """Refuses a file of weights that is not what was written.

    Raises:
        InputError: If it differs from what its folder, or its name in the cache, says of it.
    """
    if _is_of_luthier(file.parent / MANIFEST):
        try:
            manifest = Manifest.of(file.parent)
            if file.name in manifest.files:
                Manifest({file.name: manifest.files[file.name]}).verify(file.parent)
        except DamagedError as error:
            raise InputError(
                f"{file.parent / error.file}: {error.reason}: it was changed after it was written; "
                f"bring it again, or, where that was meant, remove {MANIFEST}"
            ) from None
    blob = file.resolve().name
    if file.is_symlink() and _BLOB.fullmatch(blob) and file.resolve().parent.name == "blobs":
        with told("read", file), open(file, "rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != blob:
            raise InputError(
                f"{file}: has the SHA-256 {found[:12]}…, but was fetched as {blob[:12]}…: it was "
                f"cut off or changed since; remove {file.resolve()}, and it is fetched again"
            )


def _is_of_luthier(manifest: Path) -> bool:
    """Whether a file is a manifest of ours, and not one of somebody's by the same name."""
    if not manifest.is_file() or manifest.stat().st_size > _MOST_BYTES:
        return False
    try:
        found = from_json(manifest.read_bytes())
    except ValueError:
        return FORMAT.encode() in manifest.read_bytes()
    return isinstance(found, dict) and found.get("format") == FORMAT
