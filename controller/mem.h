/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_MEM_H
#define CONTROLLER_MEM_H
/*
 * Allocation that does not fail: the controller has nothing sensible to do without memory, what it has
 * acknowledged is on disk, and the service manager starts it again.
 */
#include <jansson.h>
#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *old, size_t size);
char *mem_strdup(const char *text);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Passes its argument through; ends the program when it is NULL. For jansson's constructors. */
json_t *mem_json(json_t *value);

/* After so many objects have come and gone: much of it goes back to the system. */
void mem_trim(size_t objects);

/* Room for one more in a growing array: `items` of `count`, with `room` allocated. */
#define MEM_GROW(items, count, room)                                                               \
	do {                                                                                       \
		if ((count) == (room)) {                                                           \
			(room) = (room) != 0 ? (room)*2 : 8;                                       \
			(items) = mem_realloc((items), (room) * sizeof(*(items)));                 \
		}                                                                                  \
	} while (0)

#endif
