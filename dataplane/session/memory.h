/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_MEMORY_H
#define SESSION_MEMORY_H
/* Large tables: zeroed. In reserved huge pages all of a table is there from the start; else it is taken from the system page by page
 * as it is used. */
#include <stdbool.h>
#include <stddef.h>

enum memory_pages {
	MEMORY_SMALL,    /* for tables that are touched here and there */
	MEMORY_HUGE,     /* transparent huge pages where there are some */
	MEMORY_RESERVED, /* reserved huge pages if enough of them are left, else as MEMORY_HUGE */
};

/* May MEMORY_RESERVED use them? At first not. Before the first table. */
void memory_use_reserved(bool use);
/* NULL: no address space. */
void *memory_map(size_t size, enum memory_pages pages);
/* Takes bytes [from, to) from the system now, so that no worker stops for it later. Only a matter of speed: may do nothing. Any thread,
 * while others write there. */
void memory_populate(void *p, size_t from, size_t to);
/* Calls `piece` until it says that no more is to do, or for that long: what a thread with other work may give at once. */
void memory_populate_for(unsigned int ms, bool (*piece)(void));
void memory_unmap(void *p, size_t size);

#endif
