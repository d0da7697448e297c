/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_DISPLACE_H
#define SESSION_DISPLACE_H
/* Making room in full buckets: keys move to their other bucket (cuckoo hashing). */
#include <stdbool.h>
#include <stdint.h>

/* Tries to free a slot in one of two buckets, which are full, or free slots in them are not enough. Nothing is moved to the `spare`
 * buckets, where the keys of the same session go. True: look again (somebody else may have taken it); false: there is
 * no room near. The caller holds no lock. */
bool displace(uint32_t first, uint32_t second, const uint32_t spare[4]);

/* bucket.c */
void bucket_lock(uint32_t bucket);
void bucket_unlock(uint32_t bucket);

#endif
