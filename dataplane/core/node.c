/* SPDX-License-Identifier: Apache-2.0 */
#include "core/node.h"

#include <string.h>

#include "observe/fate.h"

static struct classify_attachment *attachments;

void node_attach_classify(struct classify_attachment *attachment)
{
	attachment->next = attachments;
	attachments = attachment;
}

const char *node_of_classify(enum classify_kind kind)
{
	for (const struct classify_attachment *a = attachments; a != NULL; a = a->next)
		if (a->kind == kind)
			return a->node;
	return "unclaimed";
}

void node_consume(struct rte_mbuf *m)
{
	observe_consumed(m);
	worker_self->count.consumed++;
	rte_pktmbuf_free(m);
}

void node_count_generated(unsigned int n)
{
	worker_self->count.generated += n;
}

struct rte_mbuf *node_generate(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker_self->pool);

	if (m == NULL)
		return NULL;
	memset(pkt_of(m), 0, sizeof(struct pkt));
	pkt_of(m)->flags = PKT_F_GENERATED;
	pkt_of(m)->in = pkt_of(m)->out = LOC_NONE;
	worker_self->count.generated++;
	return m;
}

static struct rx_attachment *rx_attachments;
static struct node_linker *linkers;

void node_attach_rx(struct rx_attachment *attachment)
{
	attachment->next = rx_attachments;
	rx_attachments = attachment;
}

const char *node_of_rx(unsigned int role)
{
	for (const struct rx_attachment *a = rx_attachments; a != NULL; a = a->next)
		if (a->role == role)
			return a->node;
	return "unclaimed";
}

void node_linker_register(struct node_linker *linker)
{
	linker->next = linkers;
	linkers = linker;
}

void node_link_all(void)
{
	for (const struct node_linker *l = linkers; l != NULL; l = l->next)
		l->link();
}

/* What nobody has attached to. */
static uint16_t unclaimed_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		node_drop(graph, node, objs[i], DROP_UNSUPPORTED);
	return nb_objs;
}

static struct rte_node_register unclaimed_node;
NODE_REGISTER(unclaimed_node, "unclaimed", unclaimed_process);
