/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H
/* Lines that are to be written. */
#include <stdint.h>

#include <rte_prefetch.h>

/* One that hardly any other thread has: who reads it gets it as his own. On x86 that is better than PREFETCHW, which on some CPUs
 * fetches no further than the second cache; from there each store takes its time, all stores behind it wait, and so does the next lock. */
static inline void prefetch_own(const volatile void *line)
{
#ifdef RTE_ARCH_X86
	rte_prefetch0(line);
#else
	rte_prefetch0_write((const void *)(uintptr_t)line);
#endif
}

#endif
