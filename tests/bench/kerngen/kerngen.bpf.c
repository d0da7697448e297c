/* SPDX-License-Identifier: Apache-2.0 */
/* Run over and over by the kernel itself (BPF_F_TEST_XDP_LIVE_FRAMES): each frame that it writes goes up the stack as if the
 * device had received it. The frames are those of net_flowgen (../flowgen/frame.h), for a peer that takes no DPDK device. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "kerngen.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kerngen_state);
} state SEC(".maps");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline void put16(__u8 *p, __u16 v)
{
	p[0] = v >> 8;
	p[1] = (__u8)v;
}

static __always_inline void put32(__u8 *p, __u32 v)
{
	put16(p, v >> 16);
	put16(p + 2, (__u16)v);
}

static __always_inline void put_flow(const struct kerngen_state *s, __u8 *ip, int ipv6)
{
	__u32 src = s->src + s->src_at, dst = s->dst;
	__u16 sport = s->sport + s->sport_at;
	__u32 sum = (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff);
	__u8 *l4 = ip + (ipv6 ? 40 : 20);
	__u16 check = fold(s->l4_sum + sum + sport + s->dport);

	if (ipv6) {
		put32(ip + 20, src);
		put32(ip + 36, dst);
	} else {
		put16(ip + 10, fold(s->ip_sum + sum));
		put32(ip + 12, src);
		put32(ip + 16, dst);
	}
	put16(l4, sport);
	put16(l4 + 2, s->dport);
	put16(l4 + 6, check ? check : 0xffff);
}

static __always_inline void next_flow(struct kerngen_state *s)
{
	if (++s->src_at >= s->sources) {
		s->src_at = 0;
		s->sport_at++;
	}
	if (++s->flow >= s->flows) {
		s->flow = 0;
		s->src_at = 0;
		s->sport_at = 0;
	}
}

SEC("xdp")
int make(struct xdp_md *ctx)
{
	__u8 *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 key = 0;
	struct kerngen_state *s = bpf_map_lookup_elem(&state, &key);

	if (s == NULL || p + 60 > end)
		return XDP_ABORTED;
	if (s->vxlan) {
		if (p + 128 <= end)
			__builtin_memcpy(p, s->head, 128);
		else if (p + 110 <= end)
			__builtin_memcpy(p, s->head, 110);
		else
			return XDP_ABORTED;
		put16(p + 34, 0xc000 | ((s->src_at * 2654435761u ^ s->sport_at) & 0x3fff));
		if (s->ipv6) {
			if (p + 112 > end)
				return XDP_ABORTED;
			put_flow(s, p + 64, 1);
		} else {
			put_flow(s, p + 64, 0);
		}
	} else if (s->ipv6) {
		if (p + 62 > end)
			return XDP_ABORTED;
		__builtin_memcpy(p, s->head, 62);
		put_flow(s, p + 14, 1);
	} else {
		__builtin_memcpy(p, s->head, 60);
		put_flow(s, p + 14, 0);
	}
	next_flow(s);
	return XDP_PASS;
}

/* The device must have a program of its own to take such frames. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
