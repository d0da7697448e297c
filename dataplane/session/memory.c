/* SPDX-License-Identifier: Apache-2.0 */
#include "session/memory.h"

#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/mman.h>
#include <rte_common.h>

#define HUGE ((size_t)2 << 20)

static bool use_reserved;

static void *map_ordinary(size_t size, bool huge)
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

void memory_use_reserved(bool use)
{
	use_reserved = use;
}

/* All of it or nothing: a page that is missing later would end the process. */
static void *map_reserved(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_POPULATE_WRITE) != 0) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

void *memory_map(size_t size, enum memory_pages pages)
{
	void *reserved = pages == MEMORY_RESERVED && use_reserved
				 ? map_reserved(RTE_ALIGN_CEIL(size, HUGE))
				 : NULL;

	return reserved != NULL ? reserved : map_ordinary(size, pages != MEMORY_SMALL);
}

void memory_populate(void *p, size_t from, size_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	from = RTE_ALIGN_FLOOR(from, page);
	if (to > from)
		(void)madvise(
			(char *)p + from, RTE_ALIGN_CEIL(to, page) - from, MADV_POPULATE_WRITE);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void memory_populate_for(unsigned int ms, bool (*piece)(void))
{
	uint64_t start_ms = now_ms();

	while (piece() && now_ms() - start_ms < ms)
		;
}

void memory_unmap(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, RTE_ALIGN_CEIL(size, HUGE));
}
