/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP tracker: scripts of segments, each with the verdict and the state it must lead to. Every script runs with several initial
 * sequence numbers, so that they wrap in every place, and each segment through the inline path as on the packet path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>

#include "core/rcu.h"
#include "session/tcp.h"

enum { C, S }; /* client: direction 0; server */
enum {
	SYN = RTE_TCP_SYN_FLAG,
	FIN = RTE_TCP_FIN_FLAG,
	RST = RTE_TCP_RST_FLAG,
	ACK = RTE_TCP_ACK_FLAG
};
#define PASS DROP_NONE
#define BAD DROP_TCP_STATE

/* seq and ack are relative to the initial sequence numbers of the sender and of the receiver. */
struct row {
	int from;
	uint8_t flags;
	int64_t seq, ack;
	uint32_t len;
	uint16_t win;
	enum drop_reason verdict;
	enum tcp_state state;
	int wscale; /* SYN only: option value + 1, 0: none */
};

struct script {
	const char *name;
	bool midstream;
	const struct row *rows;
	size_t n;
};

#define SCRIPT(title, mid, ...)                                                                    \
	{                                                                                          \
		.name = title, .midstream = mid, .rows = (const struct row[]){__VA_ARGS__},        \
		.n = sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row)                \
	}

#define WS(shift) .wscale = (shift) + 1
/* Handshake without and with scaling (7 and 8). */
#define HANDSHAKE                                                                                  \
	{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},                                              \
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},                            \
	{                                                                                          \
		C, ACK, 1, 1, 0, 64240, PASS, TCP_ESTABLISHED                                      \
	}
#define HANDSHAKE_SCALED                                                                           \
	{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(7)},                                       \
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},                     \
	{                                                                                          \
		C, ACK, 1, 1, 0, 502, PASS, TCP_ESTABLISHED                                        \
	}

static const struct script scripts[] = {
	/* RFC 9293 3.5, 3.6 */
	SCRIPT("normal", false, HANDSHAKE, {C, ACK, 1, 1, 100, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 101, 0, 65060, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 101, 1460, 65060, PASS, TCP_ESTABLISHED},
		{C, ACK, 101, 1461, 0, 62780, PASS, TCP_ESTABLISHED},
		{C, FIN | ACK, 101, 1461, 0, 62780, PASS, TCP_FIN_WAIT},
		{S, ACK, 1461, 102, 0, 65060, PASS, TCP_CLOSE_WAIT},
		{S, FIN | ACK, 1461, 102, 0, 65060, PASS, TCP_LAST_ACK},
		{C, ACK, 102, 1462, 0, 62780, PASS, TCP_TIME_WAIT},
		/* the last ACK was lost */
		{S, FIN | ACK, 1461, 102, 0, 65060, PASS, TCP_TIME_WAIT},
		{C, ACK, 102, 1462, 0, 62780, PASS, TCP_TIME_WAIT}),
	SCRIPT("server closes first, FIN and ACK in one", false, HANDSHAKE,
		{S, FIN | ACK, 1, 1, 500, 65160, PASS, TCP_FIN_WAIT},
		{C, FIN | ACK, 1, 502, 0, 64240, PASS, TCP_LAST_ACK},
		{S, ACK, 502, 2, 0, 65160, PASS, TCP_TIME_WAIT}),
	SCRIPT("simultaneous close", false, HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, 64240, PASS, TCP_FIN_WAIT},
		{S, FIN | ACK, 1, 1, 0, 65160, PASS, TCP_LAST_ACK},
		{C, ACK, 2, 2, 0, 64240, PASS, TCP_LAST_ACK},
		{S, ACK, 2, 2, 0, 65160, PASS, TCP_TIME_WAIT}),
	SCRIPT("half close: the other side goes on", false, HANDSHAKE,
		{C, FIN | ACK, 1, 1, 10, 64240, PASS, TCP_FIN_WAIT},
		{S, ACK, 1, 12, 0, 65160, PASS, TCP_CLOSE_WAIT},
		{S, ACK, 1, 12, 1460, 65160, PASS, TCP_CLOSE_WAIT},
		{C, ACK, 12, 1461, 0, 64240, PASS, TCP_CLOSE_WAIT},
		{S, ACK, 1461, 12, 1460, 65160, PASS, TCP_CLOSE_WAIT},
		{C, ACK, 12, 2921, 1, 64240, BAD, TCP_CLOSE_WAIT},        /* data behind its FIN */
		{C, FIN | ACK, 1, 2921, 10, 64240, PASS, TCP_CLOSE_WAIT}, /* again */
		{S, FIN | ACK, 2921, 12, 0, 65160, PASS, TCP_LAST_ACK},
		{C, ACK, 12, 2922, 0, 64240, PASS, TCP_TIME_WAIT}),
	/* RFC 9293 3.5 figure 7, RFC 5382 REQ-2 */
	SCRIPT("simultaneous open", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(7)},
		{S, SYN, 0, 0, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{C, SYN | ACK, 0, 1, 0, 64240, PASS, TCP_SYN_RECEIVED, WS(7)},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_ESTABLISHED, WS(8)},
		{C, ACK, 1, 1, 100, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 101, 0, 300, PASS, TCP_ESTABLISHED}),
	SCRIPT("simultaneous open, plain ACKs", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN, 0, 0, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 0, 64240, PASS, TCP_SYN_RECEIVED},
		{S, ACK, 1, 1, 0, 65160, PASS, TCP_ESTABLISHED}),
	SCRIPT("SYN and SYN-ACK sent again", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(7)},
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(7)},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_RECEIVED, WS(7)},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{C, ACK, 1, 1, 0, 502, PASS, TCP_ESTABLISHED},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_ESTABLISHED, WS(8)},
		{C, ACK, 1, 1, 64000, 502, PASS, TCP_ESTABLISHED}),
	SCRIPT("a new socket's SYN before any answer", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{C, SYN, 70000, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 70001, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 70001, 1, 0, 64240, PASS, TCP_ESTABLISHED}),
	SCRIPT("SYN cookies: another number each time", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{S, SYN | ACK, 123456789, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 123456790, 0, 64240, PASS, TCP_ESTABLISHED}),
	/* RFC 7413 */
	SCRIPT("fast open, data taken", false,
		{C, SYN, 0, 0, 1000, 64240, PASS, TCP_SYN_SENT, WS(7)},
		{S, SYN | ACK, 0, 1001, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{S, ACK, 1, 1001, 1460, 255, PASS, TCP_SYN_RECEIVED},
		{S, ACK, 1461, 1001, 1460, 255, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1001, 2921, 0, 502, PASS, TCP_ESTABLISHED}),
	SCRIPT("fast open, data refused", false, {C, SYN, 0, 0, 1000, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1001, 0, 65160, PASS, TCP_ESTABLISHED}),
	SCRIPT("handshake that does not fit", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{C, ACK, 1, 1, 0, 64240, BAD, TCP_SYN_SENT}, /* nothing to acknowledge */
		{C, SYN | ACK, 0, 1, 0, 64240, BAD, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 2, 0, 65160, BAD, TCP_SYN_SENT}, /* not its SYN */
		{S, SYN | ACK, 0, -100000, 0, 65160, BAD, TCP_SYN_SENT},
		{S, ACK, 1, 1, 10, 65160, BAD, TCP_SYN_SENT}, /* data before SYN */
		{S, FIN | ACK, 1, 1, 0, 65160, BAD, TCP_SYN_SENT},
		{S, RST, 0, 0, 0, 0, BAD, TCP_SYN_SENT}, /* refusal of nothing */
		{S, RST | ACK, 0, 5000, 0, 0, BAD, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 2, 0, 64240, BAD,
			TCP_SYN_RECEIVED}, /* acknowledges what was not sent */
		{C, ACK, 1, 1, 0, 64240, PASS, TCP_ESTABLISHED}),
	/* RFC 9293 3.10.7.3: connection refused */
	SCRIPT("refused, tried again", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, RST | ACK, 0, 1, 0, 0, PASS, TCP_CLOSED},
		{C, SYN, 5000, 0, 0, 64240, DROP_STALE, TCP_CLOSED}),
	SCRIPT("client gives up", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{C, RST, 1, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("client does not know the SYN-ACK", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, RST, 1, 0, 0, 0, PASS, TCP_CLOSED}),
	/* RFC 9293 3.5.1 figure 9: the server has an old connection on the tuple */
	SCRIPT("half-open server", false, {C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, ACK, 777, 99999, 0, 65160, PASS, TCP_SYN_SENT},
		{C, RST, 99999, 0, 0, 0, PASS, TCP_SYN_SENT},
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 0, 64240, PASS, TCP_ESTABLISHED}),
	/* RFC 5961 3.2 */
	SCRIPT("RST out of window", false, HANDSHAKE,
		{C, ACK, 1, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1001, 0, 65160, PASS, TCP_ESTABLISHED},
		{C, RST, 1000, 0, 0, 0, BAD, TCP_ESTABLISHED}, /* one too old */
		{C, RST, 1, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{C, RST, 1001 + 65161, 0, 0, 0, BAD, TCP_ESTABLISHED}, /* one too far */
		{C, RST, 1 << 30, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{C, RST | ACK, -1000000, 1, 0, 0, BAD, TCP_ESTABLISHED},
		{S, RST, 70000, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{S, RST, 0, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{C, RST, 1001, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("RST in the window, but not the next: the receiver asks", false, HANDSHAKE,
		{C, RST, 500, 0, 0, 0, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1, 0, 65160, PASS, TCP_ESTABLISHED}, /* challenge */
		{C, RST, 1, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("RST where a segment was lost behind us", false, HANDSHAKE,
		{C, ACK, 1, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{C, ACK, 1001, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{C, RST, 1001, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("RST of the server with data under way", false, HANDSHAKE,
		{C, ACK, 1, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{S, RST, 1, 0, 0, 0, PASS, TCP_CLOSED},
		{C, ACK, 1001, 1, 1000, 64240, PASS, TCP_CLOSED}, /* not there yet */
		{C, SYN, 90000, 0, 0, 64240, DROP_STALE, TCP_CLOSED}),
	/* RFC 1337 */
	SCRIPT("RST in TIME-WAIT changes nothing", false, HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, 64240, PASS, TCP_FIN_WAIT},
		{S, FIN | ACK, 1, 2, 0, 65160, PASS, TCP_LAST_ACK},
		{C, ACK, 2, 2, 0, 64240, PASS, TCP_TIME_WAIT},
		{S, RST, 2, 0, 0, 0, PASS, TCP_TIME_WAIT}),
	/* RFC 9293 3.6.1, RFC 6191 */
	SCRIPT("SYN on TIME-WAIT re-opens", false, HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, 64240, PASS, TCP_FIN_WAIT},
		{S, FIN | ACK, 1, 2, 0, 65160, PASS, TCP_LAST_ACK},
		{C, SYN, 100000, 0, 0, 64240, PASS,
			TCP_LAST_ACK}, /* too early: answered with a challenge */
		{C, ACK, 2, 2, 0, 64240, PASS, TCP_TIME_WAIT},
		{C, SYN, 100000, 0, 0, 64240, DROP_STALE, TCP_TIME_WAIT},
		{S, SYN, 100000, 0, 0, 64240, DROP_STALE, TCP_TIME_WAIT}),
	/* RFC 5961 4.2, RFC 9293 3.5.1 figure 10 */
	SCRIPT("SYN in an open connection: challenge, and a reset if it is meant", false, HANDSHAKE,
		{C, ACK, 1, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1001, 0, 65160, PASS, TCP_ESTABLISHED},
		{C, SYN, 1 << 29, 0, 0, 64240, PASS, TCP_ESTABLISHED},
		{C, ACK, 1001, 1, 100, 64240, PASS, TCP_ESTABLISHED}, /* unharmed */
		{S, ACK, 1, 1101, 0, 65160, PASS, TCP_ESTABLISHED},
		{C, RST, 1101, 0, 0, 0, PASS, TCP_CLOSED},
		{C, SYN, 1 << 29, 0, 0, 64240, DROP_STALE, TCP_CLOSED}),
	SCRIPT("SYN in an open connection: the server has lost it, and takes the new one", false,
		HANDSHAKE_SCALED, {C, ACK, 1, 1, 1000, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1001, 0, 255, PASS, TCP_ESTABLISHED},
		{C, SYN, 1 << 29, 0, 0, 64240, PASS, TCP_ESTABLISHED, WS(7)},
		{S, SYN | ACK, 1 << 28, (1 << 29) + 2, 0, 65160, BAD, TCP_ESTABLISHED, WS(8)},
		{S, SYN | ACK, 1 << 28, (1 << 29) + 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{S, SYN | ACK, 1 << 28, (1 << 29) + 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(8)},
		{C, ACK, (1 << 29) + 1, (1 << 28) + 1, 0, 502, PASS, TCP_ESTABLISHED},
		{C, ACK, (1 << 29) + 1, (1 << 28) + 1, 65160, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, (1 << 28) + 1, (1 << 29) + 65161, 64256, 255, PASS, TCP_ESTABLISHED},
		{C, ACK, (1 << 29) + 65161, (1 << 28) + 64257, 0, 502, PASS, TCP_ESTABLISHED},
		{C, ACK, 1001, 1, 10, 502, BAD, TCP_ESTABLISHED}, /* of the old one */
		{C, RST, (1 << 29) + 65161, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("SYN in an open connection: the server has lost it, and refuses", false, HANDSHAKE,
		{S, RST | ACK, -5000, 70001, 0, 0, BAD, TCP_ESTABLISHED}, /* nobody has asked */
		{C, SYN, 70000, 0, 0, 64240, PASS, TCP_ESTABLISHED},
		{S, RST | ACK, -5000, 70002, 0, 0, BAD, TCP_ESTABLISHED},
		{S, RST, -5000, 70001, 0, 0, BAD, TCP_ESTABLISHED},
		{S, RST | ACK, -5000, 70001, 0, 0, PASS, TCP_CLOSED},
		{C, SYN, 90000, 0, 0, 64240, DROP_STALE, TCP_CLOSED}),
	SCRIPT("SYN of a new socket in a handshake that the server has given up", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, SYN, 70000, 0, 0, 64240, PASS, TCP_SYN_RECEIVED},
		{S, ACK, 1, 1, 0, 65160, PASS, TCP_SYN_RECEIVED}, /* not yet */
		{C, SYN, 70000, 0, 0, 64240, PASS, TCP_SYN_RECEIVED},
		{S, SYN | ACK, 9999, 70001, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 70001, 10000, 0, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 10000, 70001, 1460, 65160, PASS, TCP_ESTABLISHED}),
	SCRIPT("SYN of a new socket in a handshake: the old one goes on", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, SYN, 70000, 0, 0, 64240, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 0, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1, 1460, 65160, PASS, TCP_ESTABLISHED}),
	SCRIPT("data window", false, {C, SYN, 0, 0, 0, 10000, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 5000, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 0, 10000, PASS, TCP_ESTABLISHED},
		{C, ACK, 1, 1, 5000, 10000, PASS, TCP_ESTABLISHED}, /* all of it */
		{C, ACK, 5001, 1, 1, 10000, BAD, TCP_ESTABLISHED},  /* beyond */
		{C, ACK, 100000, 1, 1000, 10000, BAD, TCP_ESTABLISHED},
		{S, ACK, 1, 5001, 0, 5000, PASS, TCP_ESTABLISHED},
		{C, ACK, 5001, 1, 1, 10000, PASS, TCP_ESTABLISHED},
		{C, ACK, 1, 1, 5000, 10000, PASS, TCP_ESTABLISHED}, /* again */
		{C, ACK, -99, 1, 100, 10000, BAD, TCP_ESTABLISHED}, /* a window behind */
		{S, ACK, 1, 5002, 10001, 5000, BAD, TCP_ESTABLISHED},
		{S, ACK, 1, 5002, 10000, 5000, PASS, TCP_ESTABLISHED},
		{S, ACK, 10001, 5003, 0, 5000, BAD, TCP_ESTABLISHED}, /* acknowledges the unsent */
		{S, ACK, 10001, 5002 - 90000, 0, 5000, BAD, TCP_ESTABLISHED}, /* ancient */
		{S, FIN | ACK, 30000, 5002, 0, 5000, BAD, TCP_ESTABLISHED}),
	/* RFC 7323 2.2: no scaling in SYN, then 502 << 7 = 64256, 255 << 8 = 65280 */
	SCRIPT("window scaling", false, HANDSHAKE_SCALED,
		{S, ACK, 1, 1, 64256, 255, PASS, TCP_ESTABLISHED},
		{S, ACK, 64257, 1, 1, 255, BAD, TCP_ESTABLISHED},
		{C, ACK, 1, 64257, 0, 1004, PASS, TCP_ESTABLISHED},
		{S, ACK, 64257, 1, 65160, 255, PASS, TCP_ESTABLISHED},
		{S, ACK, 129417, 1, 63353, 255, BAD, TCP_ESTABLISHED},
		{S, ACK, 129417, 1, 63352, 255, PASS, TCP_ESTABLISHED},
		{C, ACK, 1, 1, 65280, 1004, PASS, TCP_ESTABLISHED}),
	SCRIPT("scaling offered by one side only does not hold", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(7)},
		{S, SYN | ACK, 0, 1, 0, 1000, PASS, TCP_SYN_RECEIVED},
		{C, ACK, 1, 1, 0, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1, 1460, 1000, BAD, TCP_ESTABLISHED}, /* 502 bytes, not 64256 */
		{S, ACK, 1, 1, 502, 1000, PASS, TCP_ESTABLISHED}),
	SCRIPT("largest scale, RFC 7323 2.3", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT, WS(14)},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED, WS(200)},
		{C, ACK, 1, 1, 0, 65535, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1, 65000, 65535, PASS, TCP_ESTABLISHED},
		{S, ACK, (65535ll << 14) - 10, 1, 11, 65535, PASS, TCP_ESTABLISHED},
		{S, ACK, (65535ll << 14) + 1, 1, 1, 65535, BAD, TCP_ESTABLISHED}),
	/* RFC 9293 3.8.6.1, 3.8.4 */
	SCRIPT("zero window, probes, keep-alives", false, HANDSHAKE,
		{C, ACK, 1, 1, 64000, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 64001, 0, 0, PASS, TCP_ESTABLISHED},
		{C, ACK, 64001, 1, 1, 64240, PASS, TCP_ESTABLISHED}, /* probe with a byte */
		{S, ACK, 1, 64001, 0, 0, PASS, TCP_ESTABLISHED},
		{C, ACK, 64000, 1, 0, 64240, PASS, TCP_ESTABLISHED}, /* Linux: without */
		{S, ACK, 1, 64002, 0, 65000, PASS, TCP_ESTABLISHED},
		{C, ACK, 64002, 1, 1000, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 0, 65002, 1, 65000, PASS,
			TCP_ESTABLISHED}, /* keep-alive with a byte of garbage */
		{C, ACK, 65002, 1, 0, 64240, PASS, TCP_ESTABLISHED},
		{C, ACK, 65001, 1, 0, 64240, PASS, TCP_ESTABLISHED}),
	SCRIPT("GSO frame of 64 kB", false, HANDSHAKE_SCALED,
		{S, ACK, 1, 1, 1448, 2000, PASS, TCP_ESTABLISHED},
		{C, ACK, 1, 1449, 65000, 1004, PASS, TCP_ESTABLISHED},
		{S, ACK, 1449, 65001, 0, 2000, PASS, TCP_ESTABLISHED},
		{C, ACK, 65001, 1449, 65160, 1004, PASS, TCP_ESTABLISHED},
		{S, ACK, 1449, 130161, 65160, 2000, PASS, TCP_ESTABLISHED}),
	SCRIPT("out of order and lost segments", false, HANDSHAKE,
		{C, ACK, 2921, 1, 1460, 64240, PASS, TCP_ESTABLISHED},
		{C, ACK, 1, 1, 1460, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1461, 0, 65160, PASS, TCP_ESTABLISHED},
		{C, ACK, 1461, 1, 1460, 64240, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 4381, 0, 65160, PASS, TCP_ESTABLISHED},
		{S, ACK, 1, 1461, 0, 65160, PASS, TCP_ESTABLISHED},    /* an older ACK comes late */
		{C, FIN | ACK, 5841, 1, 0, 64240, PASS, TCP_FIN_WAIT}, /* FIN before the data */
		{C, ACK, 4381, 1, 1460, 64240, PASS, TCP_FIN_WAIT},
		{S, ACK, 1, 4381, 0, 65160, PASS, TCP_FIN_WAIT},
		{S, ACK, 1, 5842, 0, 65160, PASS, TCP_CLOSE_WAIT}),
	SCRIPT("impossible flags", false, HANDSHAKE, {C, 0, 1, 1, 10, 64240, BAD, TCP_ESTABLISHED},
		{C, FIN, 1, 1, 0, 64240, BAD, TCP_ESTABLISHED},
		{C, SYN | FIN, 1, 1, 0, 64240, BAD, TCP_ESTABLISHED},
		{C, SYN | RST, 1, 1, 0, 64240, BAD, TCP_ESTABLISHED},
		{C, FIN | RST | ACK, 1, 1, 0, 64240, BAD, TCP_ESTABLISHED},
		{C, SYN | FIN | RST | ACK, 1, 1, 0, 64240, BAD, TCP_ESTABLISHED},
		{C, ACK, 1, 1, 0, 64240, PASS, TCP_ESTABLISHED}),
	SCRIPT("FIN right behind the handshake's ACK", false,
		{C, SYN, 0, 0, 0, 64240, PASS, TCP_SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, 65160, PASS, TCP_SYN_RECEIVED},
		{C, FIN | ACK, 1, 1, 10, 64240, PASS, TCP_FIN_WAIT},
		{S, ACK, 1, 12, 0, 65160, PASS, TCP_CLOSE_WAIT}),
	SCRIPT("picked up mid-stream", true, {C, ACK, 1000, 5000, 100, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, 7000, 1100, 1460, 300, PASS,
			TCP_ESTABLISHED}, /* what was under way: learnt */
		{C, ACK, 1100, 8460, 1000, 502, PASS, TCP_ESTABLISHED},
		{S, ACK, 5000, 1100, 1460, 300, PASS, TCP_ESTABLISHED}, /* sent again */
		{C, ACK, 2100, 9000, 0, 502, PASS, TCP_ESTABLISHED},    /* what passed before us */
		{C, RST, 1000000000, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{S, FIN | ACK, 8460, 2100, 0, 300, PASS, TCP_FIN_WAIT},
		{C, FIN | ACK, 2100, 8461, 0, 502, PASS, TCP_LAST_ACK},
		{S, ACK, 8461, 2101, 0, 300, PASS, TCP_TIME_WAIT}),
	SCRIPT("picked up with the largest window", true,
		{C, ACK, 1000, 5000, 100, 65535, PASS, TCP_ESTABLISHED},
		{S, ACK, 5000, 1100, 1460, 65535, PASS, TCP_ESTABLISHED},
		{C, ACK, 1100, 6460, 1000, 65535, PASS, TCP_ESTABLISHED},
		{S, ACK, 6460, 2100, 0, 65535, PASS, TCP_ESTABLISHED}),
	SCRIPT("picked up, then reset by the side not seen yet", true,
		{C, ACK, 1000, 5000, 100, 502, PASS, TCP_ESTABLISHED},
		{S, RST, 5000, 0, 0, 0, BAD, TCP_ESTABLISHED},
		{C, RST, 1100, 0, 0, 0, PASS, TCP_CLOSED}),
	SCRIPT("picked up at its FIN", true, {C, FIN | ACK, 1000, 5000, 0, 502, PASS, TCP_FIN_WAIT},
		{S, FIN | ACK, 5000, 1001, 0, 300, PASS, TCP_LAST_ACK},
		{C, ACK, 1001, 5001, 0, 502, PASS, TCP_TIME_WAIT}),
};

static uint32_t isn[2];

static size_t options(uint8_t *opt, const struct row *row)
{
	/* MSS, NOP, and the scale as Linux sends them: the scale last. */
	const uint8_t with[] = {2, 4, 5, 180, 1, 3, 3, (uint8_t)(row->wscale - 1)},
		      without[] = {2, 4, 5, 180};

	if (!(row->flags & SYN))
		return 0;
	memcpy(opt, row->wscale ? with : without, row->wscale ? sizeof(with) : sizeof(without));
	return row->wscale ? sizeof(with) : sizeof(without);
}

struct packet {
	struct rte_tcp_hdr tcp;
	uint8_t options[40];
};

/* Returns the L4 length. */
static uint32_t build(struct packet *p, const struct row *row)
{
	size_t header = sizeof(p->tcp) + options(p->options, row);

	p->tcp = (struct rte_tcp_hdr){
		.sent_seq = rte_cpu_to_be_32(isn[row->from] + (uint32_t)row->seq),
		.recv_ack = row->flags & ACK
				    ? rte_cpu_to_be_32(isn[!row->from] + (uint32_t)row->ack)
				    : 0,
		.data_off = (uint8_t)(header / 4 << 4),
		.tcp_flags = row->flags,
		.rx_win = rte_cpu_to_be_16(row->win),
	};
	return (uint32_t)header + row->len;
}

static uint32_t session_of_test(void)
{
	struct session_new new;
	uint32_t ref;

	memset(&new, 0, sizeof(new));
	new.dir[0].key = session_key_v4(1, IPPROTO_TCP, 1, 2, 3, 4);
	new.dir[1].key = session_key_v4(1, IPPROTO_TCP, 2, 1, 4, 3);
	assert_int_equal(session_insert(&new, &ref), 0);
	return ref;
}

static void run(const struct script *script)
{
	uint32_t ref = session_of_test();

	for (size_t i = 0; i < script->n; i++) {
		const struct row *row = &script->rows[i];
		enum drop_reason verdict = DROP_NONE;
		enum tcp_state state;
		struct packet p;
		uint32_t len = build(&p, row);

		if (i == 0) {
			assert_int_equal(tcp_first_ok(&p.tcp, len, script->midstream), DROP_NONE);
			tcp_start(ref, &p.tcp, len, script->midstream);
		}
		verdict = tcp_track_inline(ref | (uint32_t)row->from, &p.tcp, len);
		state = tcp_state_of(ref >> 1);
		if (verdict != row->verdict || state != row->state)
			fail_msg("%s, segment %zu, isn %#x/%#x: verdict %d and state %s, wanted %d "
				 "and %s",
				script->name, i, isn[C], isn[S], verdict, tcp_state_name(state),
				row->verdict, tcp_state_name(row->state));
	}
	session_remove(ref >> 1);
}

static enum drop_reason track(uint32_t ref, const struct row *row)
{
	struct packet p;
	uint32_t len = build(&p, row);

	return tcp_track_inline(ref | (uint32_t)row->from, &p.tcp, len);
}

/* A reset that answers a SYN which nobody has sent, or who had the session's number before. The first session, so that nothing was. */
static void test_nobody_has_asked(void **state)
{
	static const struct row opens[] = {HANDSHAKE}, syn = {C, SYN, 70000, 0, 0, 64240},
				zero = {S, RST | ACK, -5000, 0}, old = {S, RST | ACK, -5000, 70001};
	uint32_t ref = session_of_test();

	(void)state;
	isn[C] = isn[S] = 0;
	for (unsigned int n = 0; n < 2; n++) {
		struct packet p;
		uint32_t len = build(&p, &opens[0]);

		memset(session_hot_of(ref), 0, sizeof(struct session_hot));
		memset(session_hot_of(ref ^ 1), 0, sizeof(struct session_hot));
		tcp_start(ref, &p.tcp, len, false);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(track(ref, &opens[i]), DROP_NONE);
		assert_int_equal(track(ref, &zero), BAD);
		assert_int_equal(track(ref, &old), BAD);
		assert_int_equal(tcp_state_of(ref >> 1), TCP_ESTABLISHED);
		assert_int_equal(track(ref, &syn), DROP_NONE);
	}
	session_remove(ref >> 1);
}

static void test_scripts(void **state)
{
	static const uint32_t bases[] = {
		0, 1, 1000, 0x7fffffff, 0x80000000, 0xffff0000, 0xfffffc00, UINT32_MAX};

	(void)state;
	for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++) {
		for (size_t c = 0; c < sizeof(bases) / sizeof(bases[0]); c++) {
			for (size_t d = 0; d < sizeof(bases) / sizeof(bases[0]); d++) {
				isn[C] = bases[c];
				isn[S] = bases[d];
				run(&scripts[s]);
			}
		}
	}
	assert_int_equal(session_used(), 0);
}

/* The slow path alone must say the same as the inline one where that decides. */
static void test_inline_agrees(void **state)
{
	static const struct row handshake[] = {HANDSHAKE_SCALED};
	uint32_t a = session_of_test(), b, seed = 1;
	struct session_new new;
	struct packet p;

	(void)state;
	memset(&new, 0, sizeof(new));
	new.dir[0].key = session_key_v4(1, IPPROTO_TCP, 5, 6, 3, 4);
	new.dir[1].key = session_key_v4(1, IPPROTO_TCP, 6, 5, 4, 3);
	assert_int_equal(session_insert(&new, &b), 0);
	isn[C] = 0xffffff00;
	isn[S] = 0x7ffffff0;
	for (size_t i = 0; i < 3; i++) {
		uint32_t len = build(&p, &handshake[i]);

		tcp_track(a | (uint32_t)handshake[i].from, &p.tcp, len);
		tcp_track(b | (uint32_t)handshake[i].from, &p.tcp, len);
	}
	assert_int_equal(tcp_state_of(a >> 1), TCP_ESTABLISHED);
	for (unsigned int i = 0; i < 100000; i++) {
		struct row row = {.flags = ACK};
		const struct session_hot *s, *r;
		uint32_t len;

		seed = seed * 1664525u + 1013904223u;
		row.from = seed >> 31;
		s = session_hot_of(a | (uint32_t)row.from);
		r = session_hot_of(a ^ !row.from);
		row.seq = (int64_t)(s->tcp_end - isn[row.from]) + (int32_t)(seed >> 8 & 0x3ffff) -
			  0x20000;
		row.ack = (int64_t)(r->tcp_end - isn[!row.from]) + (int32_t)(seed >> 4 & 0x3fff) -
			  0x3000;
		row.len = seed >> 3 & 0xfff;
		row.win = (uint16_t)(seed >> 12);
		len = build(&p, &row);
		assert_int_equal(tcp_track_inline(a | (uint32_t)row.from, &p.tcp, len),
			tcp_track(b | (uint32_t)row.from, &p.tcp, len));
		for (unsigned int d = 0; d < 2; d++) {
			assert_int_equal(
				session_hot_of(a ^ d)->tcp_end, session_hot_of(b ^ d)->tcp_end);
			assert_int_equal(
				session_hot_of(a ^ d)->tcp_edge, session_hot_of(b ^ d)->tcp_edge);
			assert_int_equal(
				session_hot_of(a ^ d)->tcp_win, session_hot_of(b ^ d)->tcp_win);
		}
	}
	session_remove(a >> 1);
	session_remove(b >> 1);
}

static void test_first(void **state)
{
	static const struct {
		uint8_t flags;
		enum drop_reason without, with; /* mid-stream pick-up: off by default */
	} rows[] = {
		{SYN, PASS, PASS},
		{SYN | ACK, DROP_NO_SESSION, DROP_NO_SESSION},
		{ACK, DROP_NO_SESSION, PASS},
		{FIN | ACK, DROP_NO_SESSION, PASS},
		{RST, DROP_NO_SESSION, DROP_NO_SESSION},
		{RST | ACK, DROP_NO_SESSION, DROP_NO_SESSION},
		{SYN | FIN, BAD, BAD},
		{SYN | RST, BAD, BAD},
		{0, BAD, BAD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p;
		uint32_t len = build(&p, &(struct row){.flags = rows[i].flags});

		assert_int_equal(tcp_first_ok(&p.tcp, len, false), rows[i].without);
		assert_int_equal(tcp_first_ok(&p.tcp, len, true), rows[i].with);
	}
}

/* Headers that lie about their length, and options that lie about theirs. */
static void test_malformed(void **state)
{
	static const uint8_t bad_options[][8] = {
		{3},
		{3, 0},
		{3, 1},
		{3, 4, 7},
		{2, 255, 5, 180},
		{1, 1, 1, 1, 1, 1, 3, 3},
		{254, 8, 0, 0, 0, 0, 0, 0},
	};
	uint32_t ref = session_of_test();
	struct packet p;
	uint32_t len;

	(void)state;
	len = build(&p, &(struct row){.flags = ACK});
	p.tcp.data_off = 4 << 4;
	assert_int_equal(tcp_track_inline(ref, &p.tcp, len), DROP_MALFORMED);
	p.tcp.data_off = 15 << 4;
	assert_int_equal(tcp_track_inline(ref, &p.tcp, len), DROP_MALFORMED);
	assert_int_equal(tcp_first_ok(&p.tcp, len, true), DROP_MALFORMED);
	for (size_t i = 0; i < sizeof(bad_options) / sizeof(bad_options[0]); i++) {
		/* Exactly as long as it says, so that a sanitizer sees what is read beyond. */
		uint8_t *exact = malloc(28);

		build(&p, &(struct row){.flags = SYN});
		p.tcp.data_off = 7 << 4;
		memcpy(p.options, bad_options[i], 8);
		memcpy(exact, &p, 28);
		tcp_start(ref, (struct rte_tcp_hdr *)exact, 28, false);
		free(exact);
		assert_int_equal(session_hot_of(ref)->tcp_bits, TCP_SYN); /* no scale */
		assert_int_equal(session_hot_of(ref)->tcp_end, isn[C] + 1);
	}
	session_remove(ref >> 1);
}

/* The segments of a stream that nothing new is said by write nothing. */
static void test_writes_little(void **state)
{
	static const struct row rows[] = {HANDSHAKE};
	uint32_t ref = session_of_test();
	struct session_hot before[2];
	struct packet p;
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		len = build(&p, &rows[i]);
		assert_int_equal(
			tcp_track_inline(ref | (uint32_t)rows[i].from, &p.tcp, len), DROP_NONE);
	}
	memcpy(&before[0], session_hot_of(ref), sizeof(before[0]));
	memcpy(&before[1], session_hot_of(ref ^ 1), sizeof(before[1]));
	assert_int_equal(tcp_track_inline(ref, &p.tcp, len), DROP_NONE);
	assert_memory_equal(&before[0], session_hot_of(ref), sizeof(before[0]));
	/* A side's segments change its own words only. */
	len = build(&p, &(struct row){C, ACK, 1, 1, 100, 64240, PASS, TCP_ESTABLISHED});
	assert_int_equal(tcp_track_inline(ref, &p.tcp, len), DROP_NONE);
	assert_memory_equal(&before[1], session_hot_of(ref ^ 1), sizeof(before[1]));
	assert_int_equal(session_hot_of(ref)->tcp_end, isn[C] + 101);
	session_remove(ref >> 1);
}

static int set_up(void **state)
{
	(void)state;
	return session_init(64);
}

static int tear_down(void **state)
{
	(void)state;
	session_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_has_asked),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_inline_agrees),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_writes_little),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
