/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_MEMORY_H
#define SESSION_MEMORY_H
/* Large tables: zeroed, taken from the system page by page as they are used. */
#include <stdbool.h>
#include <stddef.h>

/* `huge`: in transparent huge pages where there are some; not for tables that are touched here and there. NULL: no address space. */
void *memory_map(size_t size, bool huge);
/* Takes bytes [from, to) from the system now, so that no worker stops for it later. Only a matter of speed: may do nothing. Any thread,
 * while others write there. */
void memory_populate(void *p, size_t from, size_t to);
void memory_unmap(void *p, size_t size);

#endif
