"""Removes old files with as little as Python can do, and keeps no record: by_age_scandir.py DIR DAYS."""

import os
import sys
import time


def prune(folder, oldest):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                prune(entry.path, oldest)
            elif entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)


prune(sys.argv[1], time.time() - float(sys.argv[2]) * 24 * 3600)
