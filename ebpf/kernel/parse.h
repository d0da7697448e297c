/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Headers of a frame: Ethernet (VLAN tags are skipped), IPv4, IPv6 with extension headers, TCP, UDP, ICMP; and the
 * header of the feed. Pure functions over a buffer of fixed size, of which `captured` bytes count, so that they run
 * in the kernel and in a fuzzer alike. Every offset is compared with a constant too: the kernel's verifier follows
 * no other bound.
 */
#ifndef EBPF_PARSE_H
#define EBPF_PARSE_H

#include <stdbool.h>

#include "sight.h"

#define PARSE_INLINE static inline __attribute__((always_inline))

#define PARSE_FEED_BYTES 50 /* Ethernet, IPv4, UDP, VXLAN */
#define PARSE_VLAN_TAGS 2
#define PARSE_EXTENSIONS 6

#define PARSE_TCP 6
#define PARSE_UDP 17
#define PARSE_ICMP 1
#define PARSE_ICMPV6 58

/* Keeps the compiler from deriving, and thus leaving out, a bound that the verifier must see. */
#define PARSE_OPAQUE(value) asm volatile("" : "+r"(value))

PARSE_INLINE __u16 load16(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

PARSE_INLINE __u32 load24(const __u8 *at)
{
	return (__u32)at[0] << 16 | (__u32)at[1] << 8 | at[2];
}

/* Are `need` bytes there at `offset`? */
PARSE_INLINE bool within(__u64 offset, __u64 need, __u64 captured)
{
	return offset <= SIGHT_SNAP - need && offset + need <= captured;
}

/* The feed's outer headers (docs/inspection.md). False: it is not of that form. */
PARSE_INLINE bool parse_feed(const __u8 *outer, struct sight_packet *packet)
{
	__u16 flags = load16(outer + 34);

	if (load16(outer + 12) != 0x0800 || outer[14] != 0x45 || outer[23] != PARSE_UDP ||
		outer[26] != 0 || outer[30] != 0 || load16(outer + 36) != 4789 ||
		!(outer[42] & 0x08))
		return false;
	packet->sender = load24(outer + 27);
	packet->receiver = load24(outer + 31);
	packet->feed = (__u8)flags;
	packet->reason = (__u8)(flags >> SIGHT_FEED_REASON_SHIFT);
	packet->vni = load24(outer + 46);
	return true;
}

PARSE_INLINE void map_ipv4(union sight_addr *address, const __u8 *at)
{
	address->d[0] = 0;
	address->b[8] = address->b[9] = 0;
	address->b[10] = address->b[11] = 0xff;
	for (int i = 0; i < 4; i++)
		address->b[12 + i] = at[i];
}

PARSE_INLINE void copy_ipv6(union sight_addr *address, const __u8 *at)
{
	for (int i = 0; i < 16; i++)
		address->b[i] = at[i];
}

/* `length`: bytes from the transport's header on, as the IP header says. */
PARSE_INLINE int parse_tcp(
	const __u8 *frame, __u64 captured, __u64 offset, __u32 length, struct sight_packet *packet)
{
	__u32 header;

	if (length < 20)
		return SIGHT_BAD;
	PARSE_OPAQUE(offset);
	if (!within(offset, 20, captured))
		return SIGHT_TRUNCATED;
	header = (frame[offset + 12] >> 4) * 4;
	if (header < 20 || header > length)
		return SIGHT_BAD;
	packet->source_port = load16(frame + offset);
	packet->destination_port = load16(frame + offset + 2);
	packet->tcp_flags = frame[offset + 13];
	packet->payload = length - header;
	packet->payload_offset = (__u16)(offset + header);
	return SIGHT_PARSED;
}

PARSE_INLINE int parse_udp(
	const __u8 *frame, __u64 captured, __u64 offset, __u32 length, struct sight_packet *packet)
{
	__u32 own;

	if (length < 8)
		return SIGHT_BAD;
	PARSE_OPAQUE(offset);
	if (!within(offset, 8, captured))
		return SIGHT_TRUNCATED;
	own = load16(frame + offset + 4);
	/* 0: a segment offload has not set it. A super frame's says less than IP's (RFC 768 has no room for more). */
	if (own != 0 && (own < 8 || own > length))
		return SIGHT_BAD;
	packet->source_port = load16(frame + offset);
	packet->destination_port = load16(frame + offset + 2);
	packet->payload = length - 8;
	packet->payload_offset = (__u16)(offset + 8);
	return SIGHT_PARSED;
}

/* Echo: the id stands for the port of who asked. */
PARSE_INLINE int parse_icmp(
	const __u8 *frame, __u64 captured, __u64 offset, __u32 length, struct sight_packet *packet)
{
	bool v6 = packet->protocol == PARSE_ICMPV6;
	__u16 id;

	if (length < 8)
		return SIGHT_BAD;
	PARSE_OPAQUE(offset);
	if (!within(offset, 8, captured))
		return SIGHT_TRUNCATED;
	packet->icmp_type = frame[offset];
	id = load16(frame + offset + 4);
	if (packet->icmp_type == (v6 ? 128 : 8))
		packet->source_port = id;
	else if (packet->icmp_type == (v6 ? 129 : 0))
		packet->destination_port = id;
	packet->payload = length - 8;
	packet->payload_offset = (__u16)(offset + 8);
	return SIGHT_PARSED;
}

PARSE_INLINE int parse_transport(
	const __u8 *frame, __u64 captured, __u64 offset, __u32 length, struct sight_packet *packet)
{
	switch (packet->protocol) {
	case PARSE_TCP:
		return parse_tcp(frame, captured, offset, length, packet);
	case PARSE_UDP:
		return parse_udp(frame, captured, offset, length, packet);
	case PARSE_ICMP:
	case PARSE_ICMPV6:
		return parse_icmp(frame, captured, offset, length, packet);
	default:
		packet->payload = length;
		packet->payload_offset = (__u16)offset;
		return SIGHT_PARSED;
	}
}

/* RFC 791 */
PARSE_INLINE int parse_ipv4(
	const __u8 *frame, __u64 captured, __u64 offset, struct sight_packet *packet)
{
	__u32 header, total;

	PARSE_OPAQUE(offset);
	if (!within(offset, 20, captured))
		return SIGHT_TRUNCATED;
	header = (frame[offset] & 15) * 4;
	total = load16(frame + offset + 2);
	if (frame[offset] >> 4 != 4 || header < 20 || total < header)
		return SIGHT_BAD;
	packet->family = 4;
	packet->protocol = frame[offset + 9];
	packet->bytes = total;
	map_ipv4(&packet->source, frame + offset + 12);
	map_ipv4(&packet->destination, frame + offset + 16);
	if (load16(frame + offset + 6) & 0x1fff)
		return SIGHT_FRAGMENT;
	return parse_transport(frame, captured, offset + header, total - header, packet);
}

/* RFC 8200, 4. Upper layers behind more headers than these are hidden, which is bad enough. */
PARSE_INLINE int parse_ipv6(
	const __u8 *frame, __u64 captured, __u64 offset, struct sight_packet *packet)
{
	__u32 left, size;
	__u8 next;

	PARSE_OPAQUE(offset);
	if (!within(offset, 40, captured))
		return SIGHT_TRUNCATED;
	if (frame[offset] >> 4 != 6)
		return SIGHT_BAD;
	left = load16(frame + offset + 4);
	next = frame[offset + 6];
	packet->family = 6;
	packet->bytes = left + 40;
	copy_ipv6(&packet->source, frame + offset + 8);
	copy_ipv6(&packet->destination, frame + offset + 24);
	offset += 40;
	for (int i = 0; i < PARSE_EXTENSIONS; i++) {
		packet->protocol = next;
		/* hop-by-hop, routing, destination options, fragment, authentication */
		if (next != 0 && next != 43 && next != 60 && next != 44 && next != 51)
			return parse_transport(frame, captured, offset, left, packet);
		PARSE_OPAQUE(offset);
		if (!within(offset, 8, captured))
			return SIGHT_TRUNCATED;
		if (next == 44 && (load16(frame + offset + 2) & 0xfff8))
			return SIGHT_FRAGMENT;
		size = next == 44   ? 8
		       : next == 51 ? (frame[offset + 1] + 2) * 4
				    : (frame[offset + 1] + 1) * 8;
		if (size > left)
			return SIGHT_BAD;
		next = frame[offset];
		offset += size;
		left -= size;
	}
	return SIGHT_BAD;
}

/* Fills what the frame says; `captured` is at most SIGHT_SNAP. */
PARSE_INLINE int parse_frame(const __u8 *frame, __u64 captured, struct sight_packet *packet)
{
	__u64 offset = 12;
	__u16 type;

	if (captured < 14)
		return SIGHT_TRUNCATED;
	type = load16(frame + 12);
	for (int i = 0; i < PARSE_VLAN_TAGS && (type == 0x8100 || type == 0x88a8); i++) {
		offset += 4;
		if (!within(offset, 2, captured))
			return SIGHT_TRUNCATED;
		type = load16(frame + offset);
	}
	offset += 2;
	if (type == 0x0800)
		return parse_ipv4(frame, captured, offset, packet);
	if (type == 0x86dd)
		return parse_ipv6(frame, captured, offset, packet);
	return SIGHT_NOT_IP;
}

#endif
