/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of tests, and the feed's headers around them. Checksums are zero: nobody here looks at them. */
#ifndef TESTS_BPF_FRAME_H
#define TESTS_BPF_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 2048
#define FEED_BYTES 50

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
};

struct frame_spec {
	const char *source, *destination;       /* both IPv4 or both IPv6 */
	uint8_t protocol;                       /* 6, 17, 1, 58 or any other */
	uint16_t source_port, destination_port; /* ICMP echo: id, none */
	uint8_t tcp_flags;
	uint8_t icmp_type;
	const void *payload; /* NULL: zeros */
	uint16_t payload_len;
};

struct frame_feed {
	uint32_t vni, sender, receiver;
	uint16_t flags; /* enum sight_feed, reason */
};

void frame_make(struct frame *f, const struct frame_spec *spec);
/* Puts the feed's headers in front. */
void frame_feed(struct frame *f, const struct frame_feed *feed);
void frame_put16(uint8_t *at, uint16_t value);
/* Replaces the `drop` bytes at an offset by others. */
void frame_splice(struct frame *f, size_t offset, size_t drop, const void *bytes, size_t len);

#endif
