/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LB_PERSIST_H
#define LB_PERSIST_H
/* Which back end a client was given last: a bounded table without locks, for persistence.
 *
 * An entry is one word: 26 bits that tell clients of a bucket apart, the back end's id, and when the client came last, in
 * seconds (of 1024 ms). A bucket is a cache line of eight. Who is not in a full bucket takes the place of who has been away longest. Clients are
 * told apart by a hash keyed with a secret of this start; that two are taken for one happens once in eight million
 * look-ups, and only gives one of them the other's back end.
 *
 * Threads: any, at once.
 */
#include <stdint.h>

#include "base/ip.h"

#define LB_PERSIST_BUCKETS (1u << 15) /* 262,144 clients in 2 MB */
#define LB_PERSIST_WAYS 8

/* -ENOMEM. Once, before the rest; again: empties it. */
int lb_persist_init(void);
void lb_persist_fini(void);

/* The back end of a client of this listener that was here at most `timeout_s` ago, which is at most 24 days; 0: none. */
uint16_t lb_persist_find(
	uint32_t listener, const struct ip_addr *client, uint32_t timeout_s, uint32_t now_ms);
/* It comes now, and gets this one. */
void lb_persist_note(
	uint32_t listener, const struct ip_addr *client, uint16_t backend, uint32_t now_ms);

#endif
