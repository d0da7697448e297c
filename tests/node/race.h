/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_RACE_H
#define TESTS_NODE_RACE_H
/* Two workers that carry the same frames over and over, while the test's thread, as the control thread, changes things under
 * their hands and has sessions asked again.
 *
 *	race_start();               // instead of graph_start()
 *	race_frame("a", bytes, len);
 *	race_run(20000, 50000, change);
 */
#include <stdbool.h>
#include <stdint.h>

void race_start(void);
/* One of the frames that arrive at the port of that name, which outlives the race. The bytes are copied. */
void race_frame(const char *port, const void *bytes, uint16_t len);
/* change(n) for n from 0, at least `changes` times, and until it says that it has seen enough and more than `sent_min` packets were
 * sent, so also on a computer that lets the workers run little; every `sweep_every` times all sessions that are stale are asked
 * again. Then the workers come to rest and end; conservation is checked. The frames are forgotten. */
void race_run(
	uint32_t changes, uint64_t sent_min, uint32_t sweep_every, bool (*change)(uint32_t n));
/* Sessions that are stale are asked again, all of them at once. */
void race_ask_again(void);

#endif
