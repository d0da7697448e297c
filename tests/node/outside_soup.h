/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_OUTSIDE_SOUP_H
#define TESTS_NODE_OUTSIDE_SOUP_H
/* Translated flows (outside.h) under a program of bytes: frames valid and broken, in pieces, for devices to complete, ICMP errors that
 * quote anything, while their sessions are asked again, refused and end.
 *
 * Any bytes are a program. Whatever they say: nothing crashes, every frame is counted once, no buffer is lost, what sessions hold is
 * released once; and a whole packet with right checksums leaves with right ones, if it leaves.
 */
#include <stddef.h>
#include <stdint.h>

/* After graph_start() and outside_start(). One program: it begins and ends without sessions, in a cloud that stays. */
void outside_play(const uint8_t *program, size_t size);

#endif
