/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSPECTD_INSPECTD_H
#define INSPECTD_INSPECTD_H
/* The parts of the process together. One thread. */
#include "alerts.h"
#include "attach.h"
#include "config.h"
#include "link.h"
#include "programs.h"
#include "rules.h"

struct event;
struct event_base;
struct jsonrpc_server;
struct ring_buffer;

struct inspectd {
	struct inspectd_config config;
	struct programs programs;
	struct rules rules;
	struct alerts alerts;
	struct link link;
	struct attachment feed;
	struct attachment *ports;
	size_t port_count;
	struct ring_buffer *ring;
	struct event *readable, *tick; /* the ring is read once it is known what to look for */
	struct jsonrpc_server *server;
	uint64_t lost_seen; /* events lost when we looked last */
};

/* `config` is set. 0 or -errno, logged. */
int inspectd_start(struct inspectd *d, struct event_base *base);
void inspectd_stop(struct inspectd *d);

/* The answer to inspectd.status: docs/inspection.md. */
json_t *inspectd_status(const struct inspectd *d);

#endif
