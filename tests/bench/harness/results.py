# SPDX-License-Identifier: Apache-2.0
"""All figures of a run, in one JSON file that its parts add to."""

import json
import os

from . import ROOT
from .measure import machine


def default_path():
    return os.path.join(ROOT, "build-bench", "bench.json")


class Results:
    """{"machine": …, "packets": [...], "setup": [...], …}: a part replaces what it had in the file; "at" says when."""

    def __init__(self, path=None):
        self.path = path or os.environ.get("BENCH_JSON") or default_path()
        try:
            with open(self.path, encoding="utf-8") as f:
                self.all = json.load(f)
        except (OSError, ValueError):
            self.all = {}

    def put(self, part, value):
        found = self.all["machine"] = machine()
        self.all.setdefault("at", {})[part] = {key: found[key] for key in ("commit", "date", "load")}
        self.all[part] = value
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.all, f, indent=1)
            f.write("\n")
        os.replace(self.path + ".new", self.path)

    def get(self, part, default=None):
        return self.all.get(part, default)
