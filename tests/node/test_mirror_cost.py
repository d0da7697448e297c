# SPDX-License-Identifier: Apache-2.0
"""What mirrors and hooks cost: flows that they do not look at take at most 2 % more instructions, counted by callgrind; one whose
target is dead or takes nothing at most 3 %: so much throughput can be lost beside it at most, and less where packets come from and go to
real devices."""

from cost import instructions

BOUND = 1.02
BOUND_DEAD = 1.03


def test_instructions_of_a_packet(tmp_path):
    count = instructions("cost_mirror", ("none", "elsewhere", "hooks", "here", "dead", "slow"), tmp_path)
    assert max(count["elsewhere"], count["hooks"]) <= BOUND * count["none"], count
    assert max(count["dead"], count["slow"]) <= BOUND_DEAD * count["none"], count
    assert count["here"] > BOUND * count["none"], f"the count sees mirrors: {count}"
