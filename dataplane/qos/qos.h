/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QOS_QOS_H
#define QOS_QOS_H
/* Rates: shapers, which flows pass them, and how they are changed.
 *
 * A shaper is a rate in bytes and in packets a second. A packet that finds it exhausted waits in a queue; one that would wait
 * longer than QOS_WAIT_MS is dropped as `rate_limited` and counted to the shaper's owner. Bytes are those of IP packets, headers
 * included, as they are on the wire: a GSO frame counts as all its segments, in packets too. A shaper that was idle lets
 * QOS_BURST_BYTES or QOS_BURST_MS of its rate pass at once, whatever is more.
 *
 * Who has a shaper says so on the readable road: a stage calls flow_meter(flow, direction, id) (core/road.h) for each that the flow's
 * packets of that direction pass, in their order, and flow_depend() on an epoch slot that is bumped when the answer changes. The
 * verdict keeps the ids beside the session; packets of flows without any take no notice.
 *
 *	port.rate    egress: what the port sends. ingress: what it is given (rate_stage.c)
 *
 * A shaper of one's own, for example the bandwidth of an address:
 *
 *	id = qos_shaper_new(&rate, drop_owner_port(port->index));   // prepare; QOS_NONE: errno
 *	flow_meter(f, 0, id);                                       // the stage
 *	qos_shaper_set(id, &rate);                                  // commit of a change: the queue stays; no limit: it only counts
 *	qos_shaper_free(id);                                        // after the bump of the slot
 *
 * Threads: shapers are made, changed and freed by the control thread. Each worker has a queue of its own in each shaper, and
 * borrows slices of the common rate (bucket.h). Memory of queues is the packets' own; a worker holds at most a quarter of its
 * share of the packet buffers.
 */
#include <stdbool.h>
#include <stdint.h>

#define QOS_NONE 0u /* no shaper */
#define QOS_SHAPERS_MAX 65536u
#define QOS_WAIT_MS 40u     /* a packet that would wait longer is dropped */
#define QOS_DEADLINE_MS 50u /* one that was queued leaves after that, whatever became of the rate */
#define QOS_BURST_BYTES 65536u
#define QOS_BURST_MS 20u

typedef uint16_t qos_id_t;

struct qos_rate { /* 0: no limit */
	uint64_t bytes_per_s;
	uint64_t packets_per_s;
};

static inline bool qos_rate_limits(const struct qos_rate *rate)
{
	return rate->bytes_per_s != 0 || rate->packets_per_s != 0;
}

/* `drop_owner`: whom its drops are counted to (core/node.h). QOS_NONE with errno ENOSPC or ENOMEM. */
qos_id_t qos_shaper_new(const struct qos_rate *rate, uint32_t drop_owner);
/* Whom its drops are counted to from now on. */
void qos_shaper_set_owner(qos_id_t id, uint32_t drop_owner);
/* What has passed it, of IP packets as above. Never falls while it lives. Control thread. */
struct qos_count {
	uint64_t packets, bytes;
};
struct qos_count qos_shaper_count(qos_id_t id);
/* From the next packet on; what waits is sent by the new rate, at latest after its QOS_DEADLINE_MS. */
void qos_shaper_set(qos_id_t id, const struct qos_rate *rate);
/* Its queue is sent. Flows that still name it are not limited; the id is used again when nobody can name it any more.
 * QOS_NONE: nothing. */
void qos_shaper_free(qos_id_t id);
/* Packets that wait in all shapers. Any thread. */
uint64_t qos_held(void);

struct flow;
struct port;
struct json_t;

/* A port's rates as shapers, for the record of its vNIC. */
struct qos_port {
	qos_id_t ingress, egress; /* QOS_NONE: no limit */
};

/* A port's `rate` as northbound (an object or null), in a transaction:
 *   prepare  makes the shapers that `old` (the applied ones) lacks: -ENOSPC, -ENOMEM
 *   commit   sets the rates; `now` holds the port's shapers from now on
 *   release  afterwards, when no record names those of `old` any more
 *   abort    frees what was prepared */
struct qos_port_change {
	struct qos_port old, now;
	struct qos_rate rate[2];
};
int qos_port_prepare(struct qos_port_change *c, const struct json_t *rate,
	const struct qos_port *old, uint32_t port_index);
void qos_port_commit(const struct qos_port_change *c);
void qos_port_release(const struct qos_port_change *c);
void qos_port_abort(const struct qos_port_change *c);

#endif
