/* SPDX-License-Identifier: Apache-2.0 */
#include "session/memory.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#define HUGE ((size_t)2 << 20)

void *memory_map(size_t size, bool huge)
{
	size_t whole = RTE_ALIGN_CEIL(size, HUGE) + HUGE;
	char *p = mmap(NULL, whole, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	/* A huge page needs its alignment: cut off what is before and behind. */
	before = RTE_ALIGN_CEIL((uintptr_t)p, HUGE) - (uintptr_t)p;
	if (before > 0)
		munmap(p, before);
	p += before;
	if (whole - before > RTE_ALIGN_CEIL(size, HUGE))
		munmap(p + RTE_ALIGN_CEIL(size, HUGE), whole - before - RTE_ALIGN_CEIL(size, HUGE));
	/* Not there in every kernel, and only faster. */
	if (huge)
		(void)madvise(p, RTE_ALIGN_CEIL(size, HUGE), MADV_HUGEPAGE);
	return p;
}

void memory_populate(void *p, size_t from, size_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	from = RTE_ALIGN_FLOOR(from, page);
	if (to > from)
		(void)madvise(
			(char *)p + from, RTE_ALIGN_CEIL(to, page) - from, MADV_POPULATE_WRITE);
}

void memory_unmap(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, RTE_ALIGN_CEIL(size, HUGE));
}
