/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of the inspection's programs, which are pure: what they read lies within the frame, and where they say that
 * the payload begins is behind the headers. A buffer that ends with the frame shows a read behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

static void parse(const __u8 *frame, size_t size)
{
	struct sight_packet packet = {.captured = (__u16)size};
	struct dns_question question;

	packet.parsed = (__u8)parse_frame(frame, size, &packet);
	if (packet.parsed == SIGHT_PARSED) {
		check(packet.family == 4 || packet.family == 6);
		check(packet.payload <= packet.bytes);
		/* Other protocols may begin behind what was captured. */
		if (packet.protocol == PARSE_TCP || packet.protocol == PARSE_UDP)
			check(packet.payload_offset <= SIGHT_SNAP + 60);
	}
	/* Whatever the headers said. */
	if (dns_parse(frame, &packet, &question))
		check(question.below <= 255);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	struct sight_packet packet = {0};
	__u8 *exact;

	if (size >= PARSE_FEED_BYTES && parse_feed(data, &packet)) {
		check(packet.vni < 1U << 24 && packet.sender < 1U << 24 &&
			packet.receiver < 1U << 24);
		data += PARSE_FEED_BYTES;
		size -= PARSE_FEED_BYTES;
	}
	if (size == 0 || size > SIGHT_SNAP)
		return 0;
	exact = malloc(size);
	if (exact == NULL)
		return 0;
	memcpy(exact, data, size);
	parse(exact, size);
	free(exact);
	return 0;
}
