/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_SOUP_H
#define TESTS_NODE_SOUP_H
/* A cloud of three VPCs under a program of bytes: frames valid and broken, offload requests, changes of state, time.
 *
 * The bytes are a list of steps (soup.c); any bytes are a program. Whatever they say: nothing crashes, every frame is
 * counted once, no buffer is lost, and no port is given a frame of a VPC that is neither its own nor a peer's.
 */
#include <stddef.h>
#include <stdint.h>

struct frame;

/* A frame made of random bytes, and the port that sends it. NULL: none. */
const char *soup_frame(const uint8_t *random, size_t size, struct frame *f);
/* The whole cloud; one of its changes, which may be refused. */
void soup_items(void);
void soup_change(uint32_t n);
/* Each change alone, on a whole cloud: none is refused. */
void soup_check_changes(void);

/* After graph_start(). One program: from a clean cloud to an empty one. */
void soup_play(const uint8_t *program, size_t size);

#endif
