/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_MEMORY_H
#define SESSION_MEMORY_H
/* Large tables: zeroed, taken from the system page by page as they are used. */
#include <stdbool.h>
#include <stddef.h>

/* `huge`: in transparent huge pages where there are some; not for tables that are touched here and there. NULL: no address space. */
void *memory_map(size_t size, bool huge);
void memory_unmap(void *p, size_t size);

#endif
