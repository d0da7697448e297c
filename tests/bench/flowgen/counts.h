/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOWGEN_COUNTS_H
#define FLOWGEN_COUNTS_H
/*
 * What a device counts. With `count=FILE` it is that file, mapped: whoever measures maps it too and reads all programs under
 * test by the same means, without asking them. tests/bench/harness/device.py knows the layout.
 *
 * Written by the worker that polls the device, read by others at any time: plain aligned 64-bit words.
 */
#include <stdint.h>

#include <rte_branch_prediction.h>

/* A histogram whose steps are a thirty-second of the value: 32 steps a power of two. */
#define COUNTS_STEP_BITS 5
#define COUNTS_STEPS (1u << COUNTS_STEP_BITS)
#define COUNTS_BUCKETS 2048u

#define COUNTS_QUEUES 16

struct counts_queue {
	uint64_t rx_packets, rx_bytes; /* made: from the device to the program under test */
	uint64_t tx_packets, tx_bytes; /* taken from it */
	uint64_t no_buffer;            /* bursts not made because the program had no buffer */
	uint64_t connections;          /* TCP conversations that came to their end */
	uint64_t connections_lost;     /* those that did not */
	uint64_t unused;
};

struct counts {
	struct counts_queue queues[COUNTS_QUEUES];
	uint64_t latency[COUNTS_BUCKETS]; /* frames by their age in TSC cycles, with stamp=1 */
};

/* The bucket of a value; its lower edge is value itself below 32, else (32 + step) << exponent. */
static inline uint32_t counts_bucket(uint64_t value)
{
	uint32_t exponent;

	if (value < COUNTS_STEPS)
		return (uint32_t)value;
	exponent = 63 - (uint32_t)__builtin_clzll(value) - COUNTS_STEP_BITS;
	return (exponent << COUNTS_STEP_BITS) + (uint32_t)(value >> exponent);
}

#endif
