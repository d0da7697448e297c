/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Time for windows of seconds: the coarse clock where the kernel lends it (5.11), a fraction of the other's price. */
#ifndef EBPF_CLOCK_H
#define EBPF_CLOCK_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "maps.h"

/* Tests set the time by sight_state.clock_ns. */
const volatile bool clock_is_set = false;

static inline __attribute__((always_inline)) __u64 clock_now(const struct sight_state *s)
{
	if (clock_is_set)
		return s->clock_ns;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_coarse_ns))
		return bpf_ktime_get_coarse_ns();
	return bpf_ktime_get_ns();
}

#endif
