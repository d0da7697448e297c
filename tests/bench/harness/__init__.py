# SPDX-License-Identifier: Apache-2.0
"""The benchmark harness: what is measured (cell.py), by what (ours.py, ovs.py, grout.py, kernel.py, ceiling.py), how (measure.py,
device.py), and what is told of it (results.py, table.py, plot.py)."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

QUICK = os.environ.get("QUICK", "") not in ("", "0")
