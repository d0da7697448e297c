/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_TCP_H
#define SESSION_TCP_H
/* TCP as a tracker sees it (RFC 9293 states, RFC 5382 timeouts, window check with scaling, in-window RST only).
 *
 * Each side keeps only what it has itself sent (session_hot of its direction), written by the worker that carries that
 * direction; the connection's state is derived from both sides' bits. So no shared write.
 */
#include <rte_tcp.h>

#include "core/drop.h"
#include "session/session.h"

enum tcp_bit {
	TCP_SYN = 1 << 0,      /* has sent SYN */
	TCP_ACKED_SYN = 1 << 1, /* has acknowledged the other's SYN */
	TCP_FIN = 1 << 2,      /* has sent FIN */
	TCP_ACKED_FIN = 1 << 3, /* has acknowledged the other's FIN */
	TCP_RST = 1 << 4,      /* has sent a valid RST */
	TCP_SCALE = 1 << 5,    /* offered window scaling */
	TCP_MIDSTREAM = 1 << 6, /* picked up without a handshake: windows are learnt, not checked, at first */
	TCP_CUT = 1 << 7,
};

enum tcp_state {
	TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_ESTABLISHED, TCP_FIN_WAIT, TCP_CLOSE_WAIT, TCP_LAST_ACK,
	TCP_TIME_WAIT, TCP_CLOSED, TCP_STATE_MAX
};

/* As users see it in session.list. */
const char *tcp_state_name(enum tcp_state state);
enum tcp_state tcp_state_of(uint32_t index);

/* One segment of an existing session. DROP_NONE: pass (state updated); DROP_TCP_STATE; or DROP_STALE: a SYN that re-opens a finished
 * connection: remove the session and treat the packet as first. `l4_len`: TCP header and payload bytes (GSO: of the whole frame). */
enum drop_reason tcp_track(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len, uint32_t now_ms);
/* The first segment of a new session: only SYN without ACK/RST/FIN is one (else DROP_NO_SESSION), unless `midstream`. */
enum drop_reason tcp_first_ok(const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream);
void tcp_start(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream);

#endif
