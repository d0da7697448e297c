# SPDX-License-Identifier: Apache-2.0
"""What inspection costs a packet in instructions, counted by callgrind: at most 2 % in a VPC that is not under it, at most
10 % in one whose first packets are looked at."""

from cost import instructions


def test_instructions_of_a_packet(tmp_path):
    count = instructions("cost_inspect", ("none", "elsewhere", "here", "each"), tmp_path)
    assert count["elsewhere"] <= 1.02 * count["none"], count
    assert count["here"] <= 1.10 * count["none"], count
    assert count["each"] > 1.10 * count["none"], f"the count sees inspection: {count}"
