"""Removes metadata whose image is gone, as a script for that is usually written: orphans.py DIR."""

import sys
from pathlib import Path

for metadata in Path(sys.argv[1]).rglob("*.json"):
    if not metadata.with_suffix(".jpg").exists():
        metadata.unlink()
