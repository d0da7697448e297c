/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a pinned map hold what is wanted, touching only what differs: programs read it all the while. */
#ifndef INSPECTD_SYNC_H
#define INSPECTD_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#define SYNC_KEY_MAX 32
#define SYNC_VALUE_MAX 256

struct sync { /* all zero: empty */
	size_t key_size, value_size;
	unsigned char *entries; /* keys, each followed by its value */
	size_t count, size;
};

void sync_begin(struct sync *s, size_t key_size, size_t value_size);
/* Of equal keys any one holds. Key and value are copied. False: out of memory. */
bool sync_add(struct sync *s, const void *key, const void *value);
/* Gives up. */
void sync_free(struct sync *s);
/* Frees it. 0 or -errno (-E2BIG: the map is full); *changed is set when the map was. */
int sync_end(struct sync *s, int map, bool *changed);

#endif
