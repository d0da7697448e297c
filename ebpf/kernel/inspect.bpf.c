/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Entry points: the dataplane's feed and kernel interfaces of ports, each for XDP and for TC. A frame is copied once
 * into the ring of records, which is evidence later, and everything else reads that copy: one parser for all four.
 *
 * Built with CO-RE (clang, BTF of the running kernel is applied when loading), without a vmlinux.h.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "clock.h"
#include "detect.h"
#include "event.h"
#include "flow.h"
#include "maps.h"
#include "parse.h"

#define ENTRY static inline __attribute__((always_inline))

ENTRY long frame_load(void *ctx, bool xdp, __u32 offset, void *to, __u32 size)
{
	return xdp ? bpf_xdp_load_bytes(ctx, offset, to, size)
		   : bpf_skb_load_bytes(ctx, offset, to, size);
}

ENTRY __u32 frame_length(void *ctx, bool xdp)
{
	return xdp ? (__u32)bpf_xdp_get_buff_len(ctx) : ((struct __sk_buff *)ctx)->len;
}

ENTRY void count_parsed(int parsed)
{
	switch (parsed) {
	case SIGHT_NOT_IP:
		count(SIGHT_COUNT_NOT_IP);
		break;
	case SIGHT_FRAGMENT:
		count(SIGHT_COUNT_FRAGMENTS);
		break;
	case SIGHT_TRUNCATED:
		count(SIGHT_COUNT_TRUNCATED);
		break;
	case SIGHT_BAD:
		count(SIGHT_COUNT_BAD);
		break;
	}
}

DETECTOR int parse_record(struct sight_record *r)
{
	return r != NULL ? parse_frame(r->frame, r->packet.captured, &r->packet) : SIGHT_TRUNCATED;
}

DETECTOR int look_at(struct sight_record *r, struct sight_vpc *vpc, __u64 number)
{
	struct sight_case c = {.number = number};

	if (r == NULL || vpc == NULL)
		return 0;
	if (r->packet.parsed != SIGHT_PARSED)
		count_parsed(r->packet.parsed);
	else if (flow_track(&c, &r->packet) == 0)
		detect_all(&c, r, vpc);
	return 0;
}

/* `start`: where the tenant's frame begins. `from` says VNI and ends. */
ENTRY void inspect(void *ctx, bool xdp, __u32 start, const struct sight_packet *from)
{
	__u32 vni = from->vni, index, length = frame_length(ctx, xdp), size;
	struct sight_vpc *vpc = bpf_map_lookup_elem(&vpcs, &vni);
	struct sight_state *s = state_get();
	struct sight_record *r;
	__u64 number;

	if (vpc == NULL || s == NULL) {
		count(SIGHT_COUNT_FOREIGN);
		return;
	}
	if ((from->feed & SIGHT_FEED_SAMPLED) && s->shift > 0 &&
		(bpf_get_prandom_u32() & ((1U << (s->shift & 15)) - 1)) != 0) {
		count(SIGHT_COUNT_SKIPPED);
		return;
	}
	if (length <= start)
		return;
	number = __sync_fetch_and_add(&s->cursor, 1);
	index = number & (SIGHT_RECORDS - 1);
	r = bpf_map_lookup_elem(&records, &index);
	if (r == NULL)
		return;
	count(SIGHT_COUNT_PACKETS);
	r->sequence = 0;
	r->packet = *from;
	r->packet.time_ns = clock_now(s);
	r->packet.length = length - start;
	size = length - start;
	if (size > SIGHT_SNAP)
		size = SIGHT_SNAP;
	PARSE_OPAQUE(size);
	if (size < 1 || size > SIGHT_SNAP || frame_load(ctx, xdp, start, r->frame, size) < 0)
		return;
	r->packet.captured = (__u16)size;
	r->packet.parsed = (__u8)parse_record(r);
	r->sequence = number + 1; /* before an event names it */
	look_at(r, vpc, number);
}

ENTRY void inspect_feed(void *ctx, bool xdp)
{
	struct sight_packet from = {};
	__u8 outer[PARSE_FEED_BYTES];

	if (frame_load(ctx, xdp, 0, outer, sizeof(outer)) < 0 || !parse_feed(outer, &from)) {
		count(SIGHT_COUNT_NOT_FEED);
		return;
	}
	inspect(ctx, xdp, PARSE_FEED_BYTES, &from);
}

/* `given`: to the port (egress of the interface), else from it. */
ENTRY void inspect_port(void *ctx, bool xdp, __u32 ifindex, bool given)
{
	struct sight_interface *interface = bpf_map_lookup_elem(&interfaces, &ifindex);
	struct sight_packet from = {.sender = SIGHT_OUTSIDE, .receiver = SIGHT_OUTSIDE};

	if (interface == NULL) {
		count(SIGHT_COUNT_FOREIGN);
		return;
	}
	from.vni = interface->vni;
	if (given)
		from.receiver = interface->port;
	else
		from.sender = interface->port;
	inspect(ctx, xdp, 0, &from);
}

/* The feed carries nothing for this host: whatever came is consumed. */
SEC("xdp")
int feed_xdp(struct xdp_md *ctx)
{
	inspect_feed(ctx, true);
	return XDP_DROP;
}

SEC("tc")
int feed_tc(struct __sk_buff *ctx)
{
	inspect_feed(ctx, false);
	return TC_ACT_SHOT;
}

/* Ports' own traffic is only looked at. */
SEC("xdp")
int port_xdp(struct xdp_md *ctx)
{
	inspect_port(ctx, true, ctx->ingress_ifindex, false);
	return XDP_PASS;
}

SEC("tc")
int port_tc_in(struct __sk_buff *ctx)
{
	inspect_port(ctx, false, ctx->ifindex, false);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int port_tc_out(struct __sk_buff *ctx)
{
	inspect_port(ctx, false, ctx->ifindex, true);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
