/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_INDEX_H
#define SESSION_INDEX_H
/* Indexes of records: who is free, who lives, who waits for the end of readers. Only session/ includes this.
 *
 * Every thread (rcu_thread) has a list of free indexes to take from and a list of retired ones. A full list of retired
 * ones gets an RCU token and goes to a ring, from which any thread takes the oldest when its own are used up;
 * before that, indexes that were never used. One word a record holds all of it: the VPC of a session that lives, or
 * the next of a list.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/session.h"

#define INDEX_ALIVE 0x80000000u
#define INDEX_UNANSWERED 0x40000000u
#define INDEX_END 0x7fffffffu

extern _Atomic uint32_t *
	index_states; /* INDEX_ALIVE, perhaps INDEX_UNANSWERED | VPC index, or the next of the list */

/* For `capacity` sessions and rcu_threads() threads. -ENOMEM. */
int index_init(uint32_t capacity);
void index_fini(void);
/* Records to have memory for: the capacity, and what the threads may hold back. */
uint32_t index_records(void);
/* Bytes of the states and the ring. */
size_t index_bytes(void);
/* Indexes that were ever handed out are below. */
uint32_t index_high_water(void);

/* SESSION_NONE when the table is full. */
uint32_t index_take(void);
/* One that was taken, and that nobody else has seen. */
/* The one that the calling thread will probably take after n others; SESSION_NONE: not known. */
uint32_t index_ahead(uint32_t n);
void index_untake(uint32_t index);
/* Counts a session that lives from now on: INDEX_UNANSWERED or 0 | VPC index. */
void index_count(uint32_t state);
/* Has the VPC room for it? -EDQUOT; -EBUSY: not for one without an answer. */
int index_share_left(uint32_t vpc_index);
/* Are nine tenths of what the session's VPC may have used up? */
bool index_share_crowded(uint32_t index);

/* Ends the life of `index`; false: somebody else did. The winner takes its keys out and retires it. */
bool index_kill(uint32_t index);
void index_retire(uint32_t index);

static inline bool index_alive(uint32_t index)
{
	return atomic_load_explicit(&index_states[index], memory_order_acquire) & INDEX_ALIVE;
}

static inline uint32_t index_vpc(uint32_t index)
{
	return atomic_load_explicit(&index_states[index], memory_order_relaxed) &
	       ~(INDEX_ALIVE | INDEX_UNANSWERED);
}

#endif
