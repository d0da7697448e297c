/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

void frame_put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put24(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 16);
	frame_put16(at + 1, (uint16_t)value);
}

void frame_splice(struct frame *f, size_t offset, size_t drop, const void *bytes, size_t len)
{
	assert(offset + drop <= f->len && f->len - drop + len <= FRAME_MAX);
	memmove(f->bytes + offset + len, f->bytes + offset + drop, f->len - offset - drop);
	if (len > 0)
		memcpy(f->bytes + offset, bytes, len);
	f->len += len - drop;
}

static size_t transport(uint8_t *at, const struct frame_spec *spec)
{
	switch (spec->protocol) {
	case IPPROTO_TCP:
		frame_put16(at, spec->source_port);
		frame_put16(at + 2, spec->destination_port);
		at[12] = 5 << 4;
		at[13] = spec->tcp_flags;
		return 20;
	case IPPROTO_UDP:
		frame_put16(at, spec->source_port);
		frame_put16(at + 2, spec->destination_port);
		frame_put16(at + 4, (uint16_t)(8 + spec->payload_len));
		return 8;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = spec->icmp_type;
		frame_put16(at + 4, spec->source_port);
		return 8;
	default:
		return 0;
	}
}

void frame_make(struct frame *f, const struct frame_spec *spec)
{
	int v6 = strchr(spec->source, ':') != NULL, ok;
	size_t l3 = v6 ? 40 : 20, l4;
	uint8_t *ip = f->bytes + 14;

	memset(f->bytes, 0, sizeof(f->bytes));
	memcpy(f->bytes, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	frame_put16(f->bytes + 12, v6 ? 0x86dd : 0x0800);
	l4 = transport(ip + l3, spec);
	assert(14 + l3 + l4 + spec->payload_len <= FRAME_MAX);
	if (spec->payload != NULL)
		memcpy(ip + l3 + l4, spec->payload, spec->payload_len);
	if (v6) {
		ip[0] = 0x60;
		frame_put16(ip + 4, (uint16_t)(l4 + spec->payload_len));
		ip[6] = spec->protocol;
		ip[7] = 64;
		ok = inet_pton(AF_INET6, spec->source, ip + 8) +
		     inet_pton(AF_INET6, spec->destination, ip + 24);
	} else {
		ip[0] = 0x45;
		frame_put16(ip + 2, (uint16_t)(20 + l4 + spec->payload_len));
		ip[8] = 64;
		ip[9] = spec->protocol;
		ok = inet_pton(AF_INET, spec->source, ip + 12) +
		     inet_pton(AF_INET, spec->destination, ip + 16);
	}
	assert(ok == 2);
	(void)ok;
	f->len = 14 + l3 + l4 + spec->payload_len;
}

void frame_feed(struct frame *f, const struct frame_feed *feed)
{
	uint8_t outer[FEED_BYTES] = {2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3, 0x08, 0x00, 0x45};
	size_t inner = f->len;

	frame_put16(outer + 16, (uint16_t)(inner + 36));
	outer[22] = 64;
	outer[23] = IPPROTO_UDP;
	put24(outer + 27, feed->sender);
	put24(outer + 31, feed->receiver);
	frame_put16(outer + 34, feed->flags);
	frame_put16(outer + 36, 4789);
	frame_put16(outer + 38, (uint16_t)(inner + 16));
	outer[42] = 0x08;
	put24(outer + 46, feed->vni);
	frame_splice(f, 0, 0, outer, sizeof(outer));
}
