/* SPDX-License-Identifier: Apache-2.0 */
/* The real graph under valgrind: bursts of each sort of packet, with callgrind counting from the port's receive to its send. What
 * stands for the wire is left out. Each sort's count is a dump of its own, named "SORT PACKETS"; run.py reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <valgrind/callgrind.h>

/* As worker.c walks. */
#undef RTE_LIBRTE_GRAPH_STATS
#include <rte_graph_worker.h>

#include "../../node/cloud.h"
#include "../../node/frame.h"
#include "../../node/graph.h"
#include "../../node/nat_cloud.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "port/port.h"
#include "session/session.h"

#define FLOWS 64 /* that come by turns */
#define BURSTS 64

static struct {
	const char *port; /* where frames come in */
	const struct frame *frame;
	uint16_t sport_at;   /* where the source port stands in it */
	uint16_t sport;      /* of the next frame */
	uint16_t sports;     /* after so many from the first again; 0: never */
	unsigned int bursts; /* still to be given */
	unsigned int given, taken;
} now;

static void fill(struct rte_mbuf *m)
{
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, now.frame->len);
	uint16_t sport = rte_cpu_to_be_16(now.sport);

	memcpy(p, now.frame->bytes, now.frame->len);
	memcpy(p + now.sport_at, &sport, sizeof(sport));
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	now.sport++;
	if (now.sports != 0 && now.sport == 1000 + now.sports)
		now.sport = 1000;
}

static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	CALLGRIND_TOGGLE_COLLECT;
	if (now.bursts == 0 || strcmp(port->name, now.port) != 0 ||
		rte_pktmbuf_alloc_bulk(workers[0].pool, pkts, BURST) != 0) {
		n = 0;
	} else {
		n = BURST;
		now.bursts--;
		now.given += n;
		for (uint16_t i = 0; i < n; i++)
			fill(pkts[i]);
	}
	CALLGRIND_TOGGLE_COLLECT;
	return n;
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	(void)port;
	CALLGRIND_TOGGLE_COLLECT;
	now.taken++;
	rte_pktmbuf_free(m);
	CALLGRIND_TOGGLE_COLLECT;
}

static void walk(unsigned int bursts)
{
	now.bursts = bursts;
	now.given = now.taken = 0;
	while (now.bursts != 0) {
		rte_graph_walk(workers[0].graph);
		rcu_worker_quiescent();
	}
	rte_graph_walk(workers[0].graph);
	if (now.taken != now.given)
		fail_msg("%u of %u packets came out", now.taken, now.given);
}

/* What the sessions that time out cost. */
static void count_ends(const char *sort)
{
	char name[64];

	snprintf(name, sizeof(name), "%s %u", sort, session_used());
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	graph_pass_time(100000000);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(name);
}

/* `ends`: of its sessions, too. */
static void count(const char *sort, const char *port, const struct frame *frame, uint16_t l4_at,
	uint16_t sports, const char *ends)
{
	char name[64];

	now.port = port;
	now.frame = frame;
	now.sport_at = l4_at;
	now.sport = 1000;
	now.sports = sports;
	graph_run(); /* the clock, the change word */
	rcu_worker_online(0);
	if (sports != 0)
		walk(4); /* makes the sessions */
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	walk(BURSTS);
	CALLGRIND_TOGGLE_COLLECT;
	snprintf(name, sizeof(name), "%s %u", sort, now.taken);
	CALLGRIND_DUMP_STATS_AT(name);
	rcu_worker_offline();
	if (ends != NULL)
		count_ends(ends);
	graph_settle();
}

#define UDP4 .smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10", .dst = "10.0.1.11", .dport = 80
#define UDP6                                                                                       \
	.smac = MAC_A, .dmac = MAC_B, .src = "fd00:1:0:1::10", .dst = "fd00:1:0:1::11", .dport = 80
#define FAR4 .smac = MAC_A, .dmac = MAC_R, .src = "10.0.1.10", .dst = "10.0.1.20", .dport = 80
#define NEAR4 .smac = MAC_R, .dmac = MAC_A, .src = "10.0.1.20", .dst = "10.0.1.10", .dport = 80

int main(void)
{
	graph_set_wire(&(struct graph_wire){.workers = 1, .rx = rx, .tx = tx});
	graph_set_sessions(65536);
	nat_start(NULL);
	nat_setup(NULL);
	NAT(.dependent = true, .dnat = DNAT_ITEM("0", "e51", "17", "80", "80", A4, "80"));
	graph_run();
	count("local4", "a", FRAME(UDP4, .payload = 18), 34, FLOWS, NULL);
	count("local6", "a", FRAME(UDP6, .payload = 18), 54, FLOWS, NULL);
	count("encap4", "a", FRAME(FAR4, .payload = 18), 34, FLOWS, NULL);
	count("decap4", GRAPH_UNDERLAY, TUNNELLED(FRAME(NEAR4, .payload = 18), 100), 84, FLOWS,
		NULL);
	count("new4", "a", FRAME(UDP4, .payload = 18), 34, 0, "end4");
	count("snat4", "a", FROM_A(.dport = 80, .payload = 18), 34, 0, "snat-end");
	count("dnat4", EXT, FROM_OUTSIDE(.dst = E51, .dport = 80, .payload = 18), 34, 0, NULL);
	return 0;
}
