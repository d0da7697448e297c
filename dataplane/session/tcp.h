/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_TCP_H
#define SESSION_TCP_H
/* TCP as a tracker sees it (RFC 9293 states, RFC 5382 timeouts, window check with scaling after van Rooij, "Real stateful TCP
 * packet filtering", in-window RST only).
 *
 * Each side keeps only what it has itself sent (session_hot of its direction), written by the worker that carries that
 * direction; the connection's state is derived from both sides' bits. So no shared write, but where one side turns out to have lost the
 * connection and begins it anew: there its answer resets the other side's, too.
 *
 * `tcp` points to the whole TCP header with its options, contiguous; the caller has seen to it that at least min(data offset, l4_len) bytes
 * are there. `l4_len`: TCP header and payload bytes (GSO: of the whole frame).
 */
#include <rte_tcp.h>

#include "core/drop.h"
#include "session/session.h"

enum tcp_bit {
	TCP_SYN = 1 << 0,       /* has sent SYN */
	TCP_ACKED_SYN = 1 << 1, /* has acknowledged the other's SYN */
	TCP_FIN = 1 << 2,       /* has sent FIN */
	TCP_ACKED_FIN = 1 << 3, /* has acknowledged the other's FIN */
	TCP_RST = 1 << 4,       /* has sent a valid RST */
	TCP_SCALE = 1 << 5,     /* offered window scaling */
	TCP_MIDSTREAM =
		1
		<< 6, /* nothing of this side was seen yet: its first segment is learnt, not checked */
	TCP_PICKED_UP = 1 << 7, /* no handshake was seen: scaling unknown, taken for the largest */
};

enum tcp_state {
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	TCP_CLOSED,
	TCP_STATE_MAX
};
_Static_assert(TCP_STATE_MAX == sizeof(session_timeouts.tcp_s) / sizeof(session_timeouts.tcp_s[0]),
	"a timeout each");

/* Acknowledgements may lag so far behind the data they are for, beyond a window (reordering). */
#define TCP_ACK_LAG 66000u

/* As users see it in session.list. */
const char *tcp_state_name(enum tcp_state state);
enum tcp_state tcp_state_of(uint32_t index);

/* The first segment of a new session: only SYN without ACK/RST/FIN is one (else DROP_NO_SESSION), unless `midstream`. */
enum drop_reason tcp_first_ok(const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream);
/* Right after the insert, before the segment is sent on. tcp_track() of the same segment afterwards does no harm. */
void tcp_start(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream);

/* One segment of an existing session. DROP_NONE: pass (state updated); DROP_TCP_STATE, DROP_MALFORMED; or DROP_STALE: a SYN that re-opens a
 * finished connection: remove the session and treat the packet as first. Does not count: session_count(). */
enum drop_reason tcp_track(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len);

/* Picked up, and only one side was seen since: nobody has answered. */
bool tcp_is_one_sided(uint32_t index);

/* The segment tracked last was the first fragment of a longer one: how long nobody knows, so the sender may have
 * sent whatever the other side has room for. */
void tcp_fragmented(uint32_t ref);

/* Says "a is behind b" of sequence numbers, which wrap. */
static inline bool tcp_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The same with the common case in line: data or ACK inside the windows of an open connection. Reads the other side's hot line,
 * writes this side's only where something moved. */
static inline enum drop_reason tcp_track_inline(
	uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len)
{
	const uint8_t open = TCP_SYN | TCP_ACKED_SYN, ignored = TCP_SCALE | TCP_PICKED_UP;
	struct session_hot *s = session_hot_of(ref), *r = session_hot_of(ref ^ 1);
	uint8_t s_bits = atomic_load_explicit(&s->tcp_bits, memory_order_relaxed);
	uint8_t r_bits = atomic_load_explicit(&r->tcp_bits, memory_order_relaxed);
	uint8_t odd = (uint8_t)(((s_bits ^ open) | (r_bits ^ open)) & ~ignored);
	uint8_t flags = tcp->tcp_flags &
			(RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG);
	uint32_t scale = s_bits & r_bits & TCP_SCALE ? UINT32_MAX : 0;
	uint32_t s_shift = atomic_load_explicit(&s->tcp_wscale, memory_order_relaxed) & scale;
	uint32_t r_shift = atomic_load_explicit(&r->tcp_wscale, memory_order_relaxed) & scale;
	uint32_t header = (uint32_t)(tcp->data_off >> 4) * 4;

	if (__builtin_expect(
		    (flags ^ RTE_TCP_ACK_FLAG) | odd | (header < sizeof(*tcp)) | (header > l4_len),
		    0))
		return tcp_track(ref, tcp, l4_len);

	uint32_t seq = rte_be_to_cpu_32(tcp->sent_seq), ack = rte_be_to_cpu_32(tcp->recv_ack);
	uint32_t win = rte_be_to_cpu_16(tcp->rx_win);
	uint32_t end = seq + l4_len - header, edge = ack + (win << s_shift) + (win == 0);
	uint32_t s_end = atomic_load_explicit(&s->tcp_end, memory_order_relaxed);
	uint32_t s_edge = atomic_load_explicit(&s->tcp_edge, memory_order_relaxed);
	uint32_t s_win = atomic_load_explicit(&s->tcp_win, memory_order_relaxed);
	uint32_t r_end = atomic_load_explicit(&r->tcp_end, memory_order_relaxed);
	uint32_t r_edge = atomic_load_explicit(&r->tcp_edge, memory_order_relaxed);
	uint32_t r_win = atomic_load_explicit(&r->tcp_win, memory_order_relaxed);

	if (__builtin_expect(tcp_after(end, r_edge) | tcp_after(s_end - (r_win << r_shift), end) |
				     tcp_after(ack, r_end) |
				     tcp_after(r_end - (s_win << s_shift) - TCP_ACK_LAG, ack),
		    0))
		return tcp_track(ref, tcp, l4_len);
	if (tcp_after(end, s_end))
		atomic_store_explicit(&s->tcp_end, end, memory_order_relaxed);
	if (tcp_after(edge, s_edge))
		atomic_store_explicit(&s->tcp_edge, edge, memory_order_relaxed);
	if (__builtin_expect(win > s_win, 0))
		atomic_store_explicit(&s->tcp_win, (uint16_t)win, memory_order_relaxed);
	return DROP_NONE;
}

#endif
