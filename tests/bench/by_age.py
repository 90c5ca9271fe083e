"""Removes old files, as a script for that is usually written: by_age.py DIR DAYS LOG."""

import logging
import sys
import time
from pathlib import Path

folder, days, log = sys.argv[1:]
logging.basicConfig(filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
oldest = time.time() - float(days) * 24 * 3600
for path in Path(folder).rglob("*.jpg"):
    if path.is_file() and path.stat().st_mtime < oldest:
        size = path.stat().st_size
        path.unlink()
        logging.info("removed %s, %d bytes", path, size)
