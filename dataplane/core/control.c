/* SPDX-License-Identifier: Apache-2.0 */
#include "core/control.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <event2/event.h>
#include <rte_ring.h>

#include "core/node.h"
#include "core/worker.h"
#include "lib/log.h"
#include "observe/fate.h"

#define RING 1024

static struct rte_ring *to_worker, *to_control;
static int punt_fd = -1;
static control_receive_fn receivers[CONTROL_KINDS]; /* m->hash.usr says which */
static control_enter_fn enter_port;

static void receive_one(struct rte_mbuf *m)
{
	uint8_t copy[2048];
	uint16_t len = (uint16_t)RTE_MIN(m->pkt_len, sizeof(copy));
	const uint8_t *frame = rte_pktmbuf_read(m, 0, len, copy);

	if (receivers[m->hash.usr] != NULL && frame != NULL)
		receivers[m->hash.usr](frame, len, pkt_of(m)->in);
	rte_pktmbuf_free(m);
}

static void punted(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t n;
	void *m;

	(void)what;
	(void)arg;
	eventfd_read(fd, &n);
	while (rte_ring_dequeue(to_control, &m) == 0)
		receive_one(m);
}

static struct event *punt_event;

int control_init(struct event_base *base)
{
	to_worker =
		rte_ring_create("to_worker", RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	to_control = rte_ring_create("to_control", RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	punt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (to_worker == NULL || to_control == NULL || punt_fd < 0) {
		log_error("no memory for the control rings");
		return -ENOMEM;
	}
	punt_event = event_new(base, punt_fd, EV_READ | EV_PERSIST, punted, NULL);
	return punt_event != NULL && event_add(punt_event, NULL) == 0 ? 0 : -ENOMEM;
}

void control_fini(void)
{
	if (punt_event != NULL)
		event_free(punt_event);
}

void control_receiver_set(enum control_kind kind, control_receive_fn receive)
{
	receivers[kind] = receive;
}

static int enqueue(const struct pkt *meta, uint32_t usr, const void *frame, uint16_t len)
{
	bool large = len > RTE_MBUF_DEFAULT_DATAROOM;
	struct rte_mbuf *m = rte_pktmbuf_alloc(large ? workers[0].jumbo_pool : workers[0].pool);
	char *data;

	if (m == NULL)
		return -ENOBUFS;
	data = rte_pktmbuf_append(m, len);
	if (data == NULL) {
		rte_pktmbuf_free(m);
		return -EMSGSIZE;
	}
	memcpy(data, frame, len);
	*pkt_of(m) = *meta;
	m->hash.usr = usr;
	if (rte_ring_sp_enqueue(to_worker, m) != 0) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	worker_wake_all();
	return 0;
}

int control_send(loc_t out, const void *frame, uint16_t len)
{
	const struct pkt meta = {.flags = PKT_F_GENERATED, .in = LOC_NONE, .out = out};

	return enqueue(&meta, 0, frame, len);
}

int control_inject(loc_t in, unsigned int role, uint32_t vpc, const void *frame, uint16_t len)
{
	const struct pkt meta = {.in = in, .out = LOC_NONE, .vpc = vpc};

	return enqueue(&meta, role, frame, len);
}

bool control_pending(const struct worker *w)
{
	return w->id == 0 && !rte_ring_empty(to_worker);
}

void control_punt(struct rte_mbuf *m, enum control_kind kind)
{
	bool was_empty = rte_ring_empty(to_control);

	observe_consumed(m);
	m->hash.usr = kind;
	worker_self->count.consumed++;
	if (rte_ring_mp_enqueue(to_control, m) != 0) {
		rte_pktmbuf_free(m);
		return;
	}
	if (was_empty)
		eventfd_write(punt_fd, 1);
}

static rte_edge_t edge_of(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of((struct rte_mbuf *)(uintptr_t)m);

	if (p->in != LOC_NONE)
		return (rte_edge_t)(EDGE_COMMON + m->hash.usr);
	return loc_is_port(p->out) ? EDGE_PORT_TX : EDGE_UNDERLAY_TX;
}

static uint16_t control_rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int n;

	RTE_SET_USED(objs);
	RTE_SET_USED(nb_objs);
	if (worker_self->id != 0)
		return 0;
	n = rte_ring_sc_dequeue_burst(to_worker, (void **)pkts, BURST, NULL);
	worker_self->count.generated += n;
	for (unsigned int i = 0; i < n; i++)
		if (pkt_of(pkts[i])->in == LOC_NONE || enter_port(graph, node, pkts[i]))
			rte_node_enqueue_x1(graph, node, edge_of(pkts[i]), pkts[i]);
	return (uint16_t)n;
}

static struct rte_node_register control_rx_node = {
	.name = "control_rx",
	.process = control_rx_process,
	.flags = RTE_NODE_SOURCE_F,
	.nb_edges = EDGE_COMMON,
	.next_nodes = {"drop", "port_tx", "underlay_tx"},
};
RTE_NODE_REGISTER(control_rx_node);

void control_link_roles(unsigned int roles, control_enter_fn enter)
{
	const char *names[8];

	enter_port = enter;
	for (unsigned int role = 0; role < roles && role < RTE_DIM(names); role++)
		names[role] = node_of_rx(role);
	rte_node_edge_update(
		rte_node_from_name("control_rx"), EDGE_COMMON, names, (rte_edge_t)roles);
}
