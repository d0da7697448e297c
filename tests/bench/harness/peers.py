# SPDX-License-Identifier: Apache-2.0
"""Who is measured, in the order of the columns."""

from .ceiling import Ceiling
from .grout import Grout
from .kernel import Kernel
from .ours import Ours
from .ovs import Ovs

ALL = (Ours, Ovs, Grout, Kernel, Ceiling)

# VPP is not in Debian. What it forwarded for each packet of OVS-DPDK, both on one other machine (Zen 4, one core, VPP 26.10-rc0 built for
# it, OVS-DPDK 3.1 with its best cache, this traffic device), by case and flows.
VPP_TO_OVS = {
    "l3": {10000: 30.6 / 10.8, 1000000: 30.6 / 10.4},
    "encap": {10000: 25.1 / 11.0, 1000000: 25.3 / 11.0},
    "decap": {10000: 17.0 / 6.1, 1000000: 18.1 / 5.2},
    "sg": {10000: 18.9 / 3.4, 100000: 15.3 / 2.8, 1000000: 12.7 / 2.4},
    "chain": {10000: 15.6 / 3.3, 100000: 11.7 / 3.0, 1000000: 10.9 / 2.3},
    "snat": {10000: 11.9 / 2.1, 100000: 8.6 / 1.2, 1000000: 5.8 / 1.0},
}


def chosen(names=None):
    """Those of these names, all without; and why some cannot be had: [(class, reason or None)]."""
    found = []
    for one in ALL:
        if names and one.name not in names:
            continue
        found.append((one, one.missing() if hasattr(one, "missing") else None))
    return found


def vpp(row):
    """What VPP would do by that ratio, or None."""
    cell, ovs = row["cell"], row["peers"].get("ovs", {})
    if "median" not in ovs or cell["family"] != 4 or cell["size"] != 60 or cell["fresh"]:
        return None
    ratio = VPP_TO_OVS.get(cell["case"], {}).get(cell["flows"])
    return ratio and ratio * ovs["median"]
