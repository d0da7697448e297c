/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_PACKET_FILTER_H
#define LIB_PACKET_FILTER_H
/* Filters of packets as tcpdump has them (pcap-filter(7)), over Ethernet frames: compiled once, run on each frame.
 *
 * Names of hosts and networks are not looked up: an expression must not make this process ask a name server. Ports and
 * protocols may be named.
 *
 * Threads: compile on any; a filter is immutable, any number of threads may match by it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet_filter;

/* NULL or "": everything; then `*filter` is NULL, which packet_filter_match() takes. 0; -EINVAL with a `reason` for a
 * person; -ENOMEM. */
int packet_filter_new(
	const char *expression, struct packet_filter **filter, char *reason, size_t size);
void packet_filter_free(struct packet_filter *filter);

/* `len`: bytes of the frame; `room`: those of them that are at `frame`. What lies behind does not match. */
bool packet_filter_match(
	const struct packet_filter *filter, const uint8_t *frame, uint32_t len, uint32_t room);

#endif
