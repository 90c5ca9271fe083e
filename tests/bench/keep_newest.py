"""Keeps the newest files, as a script for that is usually written: keep_newest.py DIR COUNT LOG."""

import logging
import sys
from pathlib import Path

folder, keep, log = sys.argv[1:]
logging.basicConfig(filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
files = [path for path in Path(folder).rglob("*.jpg") if path.is_file()]
files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
for path in files[int(keep):]:
    path.unlink()
    logging.info("removed %s", path)
