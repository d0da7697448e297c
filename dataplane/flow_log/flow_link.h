/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_LINK_H
#define FLOW_LOG_FLOW_LINK_H
/* A way to a collector: a UDP or TCP connection, or a file. For one thread, which it may keep waiting up to FLOW_LINK_WAIT_MS a call.
 *
 * Messages that were sent may turn out lost later, when a UDP collector's host says that nobody listens, or a TCP connection ends
 * with data that nobody has acknowledged: `lost` collects their records.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_LINK_WAIT_MS 500
#define FLOW_LINK_UNACKED 256u

enum flow_link_type { FLOW_LINK_UDP, FLOW_LINK_TCP, FLOW_LINK_FILE };

struct flow_link {
	enum flow_link_type type;
	char host[256], port[8];
	char path[300];
	int fd; /* -1: closed */
	bool connecting;
	_Atomic bool
		stuck; /* in the middle of a message, of which nothing is taken. Any thread may look */
	char reason[128]; /* what is wrong; "" */
	uint64_t lost;    /* records of messages that were taken by send */
	/* UDP: the records of the last message. TCP: where messages end that may still be on their way, and their records. */
	uint32_t last_records;
	bool refused;  /* UDP: the message before was */
	uint64_t sent; /* bytes of this connection */
	struct {
		uint64_t end;
		uint32_t records;
	} unacked[FLOW_LINK_UNACKED];
	unsigned int first, n_unacked;
};

/* False: no collector's text. */
bool flow_link_parse(struct flow_link *link, const char *collector);
/* Opens it if it is not: 1 when it is open now and was not before, 0 it was, -errno with `reason`. */
int flow_link_open(struct flow_link *link);
/* A whole message or several lines with so many records. 0; -EAGAIN: not yet, ask again with the same; other -errno, with `reason`: not
 * sent, the link is closed but a UDP one's. */
int flow_link_send(struct flow_link *link, const void *data, size_t size, uint32_t records);
/* Has the other side gone? Then it is closed, with `reason`. */
void flow_link_check(struct flow_link *link);
void flow_link_close(struct flow_link *link);

#endif
