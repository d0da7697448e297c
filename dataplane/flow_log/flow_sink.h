/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_SINK_H
#define FLOW_LOG_FLOW_SINK_H
/* Where the records of one flow log go: a collector or a file, with a queue and a thread of its own.
 *
 * The control thread puts records into the queue and never waits; the thread resolves names, connects, sends and writes, and may
 * wait as long as it likes. What finds the queue full, and what the collector did not take, is lost and counted. A TCP collector that is
 * away is tried again and again, while records wait in the queue.
 */
#include <stdbool.h>
#include <stdint.h>

#include "flow_log/flow_record.h"

struct flow_sink;

struct flow_sink_config {
	const char *log, *node; /* names */
	const char *collector;  /* "udp://…", "tcp://…", "file:/…" */
	bool json, biflow;
	uint32_t domain; /* observation domain of IPFIX: the VNI */
};

struct flow_sink_figures {
	uint64_t records, lost; /* data records, lines */
	char reason[128];       /* what is wrong with the collector; "" */
};

/* With its thread. NULL with errno. Copies what `config` points to. */
struct flow_sink *flow_sink_open(const struct flow_sink_config *config);
void flow_sink_put(struct flow_sink *sink, const struct flow_record *record);
/* Records that were lost before they came here. */
void flow_sink_count_lost(struct flow_sink *sink, uint64_t records);
void flow_sink_figures(struct flow_sink *sink, struct flow_sink_figures *figures);
/* What waits is still sent, for FLOW_SINK_LINGER_MS at most; returns at once. */
#define FLOW_SINK_LINGER_MS 2000u
void flow_sink_close(struct flow_sink *sink);
/* Waits so long for those that were closed. */
void flow_sinks_wait(void);

#endif
