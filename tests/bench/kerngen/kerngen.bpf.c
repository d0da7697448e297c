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

/* What differs between packets, in host byte order. */
struct flow {
	__u32 src, dst;
	__u16 sport, dport;
};

static __always_inline void put_flow(
	const struct kerngen_frame *t, const struct flow *f, __u8 *ip, int ipv6)
{
	__u32 sum = (f->src >> 16) + (f->src & 0xffff) + (f->dst >> 16) + (f->dst & 0xffff);
	__u8 *l4 = ip + (ipv6 ? 40 : 20);
	__u16 check = fold(t->l4_sum + sum + f->sport + f->dport);

	if (ipv6) {
		put32(ip + 20, f->src);
		put32(ip + 36, f->dst);
	} else {
		put16(ip + 10, fold(t->ip_sum + sum));
		put32(ip + 12, f->src);
		put32(ip + 16, f->dst);
	}
	put16(l4, f->sport);
	put16(l4 + 2, f->dport);
	put16(l4 + 6, check ? check : 0xffff);
}

/* As net_flowgen's fresh_flow(). */
static __always_inline struct flow next_flow(struct kerngen_state *s)
{
	struct flow f = {.dst = s->dst, .dport = s->dport};

	if (s->fresh_every != 0 && --s->fresh_in == 0) {
		s->fresh_in = s->fresh_every;
		f.src = (s->src & 0xffff0000) | 0x8000 | (s->fresh & 0x7fff);
		f.sport = (__u16)(1024 + (s->fresh >> 15) % 64512);
		s->fresh++;
		return f;
	}
	f.src = s->src + s->src_at;
	f.sport = s->sport + s->sport_at;
	if (++s->src_at >= s->sources) {
		s->src_at = 0;
		s->sport_at++;
	}
	if (++s->flow >= s->flows) {
		s->flow = 0;
		s->src_at = 0;
		s->sport_at = 0;
	}
	return f;
}

static __always_inline const struct kerngen_frame *next_frame(struct kerngen_state *s)
{
	__u32 at = s->at & 15;

	if (!s->imix)
		return &s->frames[0];
	s->at = at + 1 >= KERNGEN_CYCLE ? 0 : at + 1;
	return &s->frames[s->cycle[at] & 3];
}

SEC("xdp")
int make(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct kerngen_state *s = bpf_map_lookup_elem(&state, &key);
	const struct kerngen_frame *t;
	struct flow f;
	__u8 *p, *end;

	if (s == NULL)
		return XDP_ABORTED;
	t = next_frame(s);
	if (t->cut != 0 && bpf_xdp_adjust_tail(ctx, -t->cut) != 0)
		return XDP_ABORTED;
	p = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (p + 60 > end)
		return XDP_ABORTED;
	f = next_flow(s);
	if (s->vxlan) {
		if (p + 128 <= end)
			__builtin_memcpy(p, t->head, 128);
		else if (p + 110 <= end)
			__builtin_memcpy(p, t->head, 110);
		else
			return XDP_ABORTED;
		put16(p + 34, 0xc000 | ((f.src * 2654435761u ^ f.sport) & 0x3fff));
		if (s->ipv6) {
			if (p + 112 > end)
				return XDP_ABORTED;
			put_flow(t, &f, p + 64, 1);
		} else {
			put_flow(t, &f, p + 64, 0);
		}
	} else if (s->ipv6) {
		if (p + 62 > end)
			return XDP_ABORTED;
		__builtin_memcpy(p, t->head, 62);
		put_flow(t, &f, p + 14, 1);
	} else {
		__builtin_memcpy(p, t->head, 60);
		put_flow(t, &f, p + 14, 0);
	}
	return XDP_PASS;
}

/* The device must have a program of its own to take such frames. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
