/* SPDX-License-Identifier: Apache-2.0 */
/* Probes on the packet path: requests of other dataplanes are answered here, answers go to the control thread. */
#include <rte_cycles.h>

#include "core/control.h"
#include "core/node.h"
#include "port/offload.h"
#include "probe/probe.h"
#include "probe/probe_wire.h"

static struct probe_talk *talks;

void probe_talk_register(struct probe_talk *talk)
{
	talk->next = talks;
	talks = talk;
}

/* Somebody else's, of this process. */
static const struct probe_talk *talk_of(const uint8_t *frame, uint32_t len)
{
	const struct probe_talk *talk = talks;

	while (talk != NULL && !talk->is(frame, len))
		talk = talk->next;
	return talk;
}

/* The frame becomes `len` bytes in one piece. */
static void cut(struct rte_mbuf *m, uint16_t len)
{
	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->nb_segs = 1;
	m->data_len = len;
	m->pkt_len = len;
	m->ol_flags &= ~OFFLOAD_TX_FLAGS;
}

/* As short as it can be, however long the request: nobody gets more out of us than was put in. */
static void answer(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m,
	struct probe_message *msg)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr to = eth->src_addr;
	struct pkt *p = pkt_of(m);

	eth->src_addr = eth->dst_addr;
	eth->dst_addr = to;
	msg->type = PROBE_ANSWER;
	cut(m, sizeof(*eth) + sizeof(*msg));
	worker_self->count.consumed++;
	node_count_generated(1);
	p->flags |= PKT_F_GENERATED;
	p->out = p->in;
	p->out_vni = 0;
	p->hash = 0;
	rte_node_enqueue_x1(graph, node, EDGE_UNDERLAY_TX, m);
}

static void take_in(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m,
	uint64_t nonce, uint64_t stamp)
{
	struct probe_report report = {.nonce = nonce, .rtt_tsc = rte_rdtsc() - stamp};

	if (!probe_take(loc_index(pkt_of(m)->in), nonce)) {
		node_drop(graph, node, m, DROP_STALE); /* too late, or a stranger's */
		return;
	}
	cut(m, sizeof(report));
	memcpy(rte_pktmbuf_mtod(m, void *), &report, sizeof(report));
	control_punt(m, CONTROL_PROBE);
}

static void probe_one(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct probe_message *msg = probe_parse(frame, m->data_len);
	const struct probe_talk *talk;
	uint64_t nonce, stamp;

	if (msg != NULL && msg->type == PROBE_REQUEST)
		answer(graph, node, m, msg);
	else if (msg != NULL && msg->type == PROBE_ANSWER)
		take_in(graph, node, m, msg->nonce, msg->stamp);
	else if (msg == NULL && probe_echo_parse(frame, m->data_len, &nonce, &stamp))
		take_in(graph, node, m, nonce, stamp);
	else if (msg == NULL && (talk = talk_of(frame, m->data_len)) != NULL)
		control_punt(m, talk->kind);
	else
		node_drop(graph, node, m, DROP_UNSUPPORTED);
}

static uint16_t probe_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		probe_one(graph, node, objs[i]);
	return nb_objs;
}

static struct rte_node_register probe_node;
NODE_REGISTER(probe_node, "probe", probe_process);
NODE_ATTACH_CLASSIFY(probe_attachment, CLASSIFY_PROBE, "probe")
