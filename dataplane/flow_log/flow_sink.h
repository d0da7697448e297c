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
struct flow_tally;

struct flow_sink_config {
	const char *log, *node; /* names */
	const char *collector;  /* "udp://…", "tcp://…", "file:/…" */
	bool json, biflow;
	uint32_t domain;          /* observation domain of IPFIX: the VNI */
	uint32_t templates_ms;    /* over UDP they are told so often; 0: FLOW_SINK_TEMPLATES_MS */
	struct flow_tally *tally; /* of the log; the sink has a reference of its own */
};
/* RFC 7011 section 8.1: over UDP templates are told again and again. Each time the collector may be another process. */
#define FLOW_SINK_TEMPLATES_MS 10000u

struct flow_sink_figures {
	uint64_t records, lost; /* data records, lines: of the tally */
	char reason[128];       /* what is wrong with the collector; "" */
};

/* What became of a log's records, whichever sinks it has had. NULL: no memory. Any thread. */
struct flow_tally *flow_tally_new(void);
struct flow_tally *flow_tally_ref(struct flow_tally *tally);
void flow_tally_put(struct flow_tally *tally);

/* With its thread. NULL with errno. Copies what `config` points to. */
struct flow_sink *flow_sink_open(const struct flow_sink_config *config);
void flow_sink_put(struct flow_sink *sink, const struct flow_record *record);
/* Records that were lost before they came here. */
void flow_sink_count_lost(struct flow_sink *sink, uint64_t records);
void flow_sink_figures(struct flow_sink *sink, struct flow_sink_figures *figures);
/* One flow in `sample` is put: collectors are told. */
void flow_sink_set_sample(struct flow_sink *sink, uint32_t sample);
/* What waits is still sent, for FLOW_SINK_LINGER_MS at most, and what is not is lost and counted; returns at once. */
#define FLOW_SINK_LINGER_MS 2000u
void flow_sink_close(struct flow_sink *sink);
/* Waits so long for those that were closed, but not for collectors that are away or take nothing. False: some are still at it. */
bool flow_sinks_wait(void);

#endif
