/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/cut.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "base/ip_text.h"
#include "core/road.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "lib/log.h"
#include "port/port.h"
#include "session/session.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

/* The control thread's is what a turn may take: some milliseconds. What does not fit is asked again a second later, at the hand's next
 * turn. */
#define RING_WORKER 1024u
#define RING_CONTROL 2048u

/* By rcu_thread numbers: 0 the control thread's. One producer each, one consumer. */
static struct rte_ring *rings[WORKER_MAX + 1];

size_t cut_format(const struct cut_flow *flow, char text[CUT_TEXT_MAX])
{
	char src[NET_ADDR_TEXT], dst[NET_ADDR_TEXT];

	return (size_t)snprintf(text, CUT_TEXT_MAX, "%" PRIu32 " %" PRIu32 " %s %u %s %u",
		flow->vni, flow->proto, ip_addr_format(&flow->src, src),
		rte_be_to_cpu_16(flow->sport), ip_addr_format(&flow->dst, dst),
		rte_be_to_cpu_16(flow->dport));
}

bool cut_parse(const char *text, struct cut_flow *flow)
{
	char vni[9], proto[4], src[46], sport[6], dst[46], dport[6], more;
	int n = sscanf(text, "%8[0-9] %3[0-9] %45[0-9a-fA-F:.] %5[0-9] %45[0-9a-fA-F:.] %5[0-9]%c",
		vni, proto, src, sport, dst, dport, &more);
	unsigned long from, to;

	memset(flow, 0, sizeof(*flow));
	if (n != 6 || !ip_addr_parse(src, &flow->src) || !ip_addr_parse(dst, &flow->dst) ||
		ip_addr_is_v4(&flow->src) != ip_addr_is_v4(&flow->dst))
		return false;
	flow->vni = (uint32_t)strtoul(vni, NULL, 10);
	flow->proto = (uint32_t)strtoul(proto, NULL, 10);
	from = strtoul(sport, NULL, 10);
	to = strtoul(dport, NULL, 10);
	flow->sport = rte_cpu_to_be_16((uint16_t)from);
	flow->dport = rte_cpu_to_be_16((uint16_t)to);
	return flow->vni < 1u << 24 && flow->proto <= UINT8_MAX && from <= UINT16_MAX &&
	       to <= UINT16_MAX;
}

int cut_init(void)
{
	for (unsigned int i = 0; i <= worker_count; i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "cut_%u", i);
		rings[i] = rte_ring_create_elem(name, sizeof(struct cut_flow),
			i == 0 ? RING_CONTROL : RING_WORKER, SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (rings[i] == NULL) {
			log_error("no memory for the rings of flows that are cut");
			return -ENOMEM;
		}
	}
	return 0;
}

/* A node of ours behind the tunnel; NULL: none. */
static const struct vtep *node_behind(loc_t tunnel)
{
	const struct vtep *vtep = loc_is_tunnel(tunnel) ? vtep_get(loc_index(tunnel)) : NULL;

	return vtep != NULL && !vtep_is_foreign(vtep) ? vtep : NULL;
}

/* Does the end that is not the other node's live here still? If not the other node learns of that itself, and where the port has gone
 * its sessions may go on. A gateway has it outside, or at a third node. */
static bool lives_here(const struct session_dir *d, const struct ip_addr *addr)
{
	const struct port *port = loc_is_port(d->in) ? port_get(loc_index(d->in)) : NULL;
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	if (port == NULL || port->role != PORT_TENANT)
		return d->flags & (SESSION_F_SRC | SESSION_F_DST);
	return vnic != NULL && vnic->vpc->index == session_key_vpc(&d->key) &&
	       vnic_may_use(vnic, addr);
}

/* The flow as it leaves: what a translation made of it. */
static struct cut_flow as_it_leaves(uint32_t index, const struct session_dir *answers)
{
	struct cut_flow flow = {
		.src = ip_addr_from_v4(answers->key.dst),
		.dst = ip_addr_from_v4(answers->key.src),
		.sport = answers->key.dport,
		.dport = answers->key.sport,
		.proto = session_key_proto(&answers->key),
	};

	if (session_key_is_v6(&answers->key)) {
		flow.src = session_exts[index].dst[1];
		flow.dst = session_exts[index].src[1];
	}
	return flow;
}

static bool tell(struct cut_flow *flow, const struct vtep *vtep, uint32_t vni)
{
	struct rte_ring *ring = rings[worker_self != NULL ? worker_self->id + 1 : 0];

	flow->vtep = vtep->index;
	flow->vni = vni;
	return rte_ring_sp_enqueue_elem(ring, flow, sizeof(*flow)) == 0;
}

bool cut_tell(uint32_t index, const struct flow *f)
{
	const struct session_dir *there = session_dir_of(index << 1),
				 *back = session_dir_of(index << 1 | 1);
	const struct vtep *to = node_behind(there->out), *from = node_behind(back->out);
	struct cut_flow leaves = as_it_leaves(index, back);
	struct cut_flow arrives = {
		.src = f->src,
		.dst = f->dst,
		.sport = f->sport,
		.dport = f->dport,
		.proto = f->proto,
	};

	if (rings[0] == NULL)
		return true;
	if (to != NULL && lives_here(there, &f->src) && !tell(&leaves, to, there->out_vni))
		return false;
	return from == NULL || !lives_here(back, &leaves.dst) ||
	       tell(&arrives, from, back->out_vni);
}

static int by_vtep(const void *a, const void *b)
{
	uint32_t x = ((const struct cut_flow *)a)->vtep, y = ((const struct cut_flow *)b)->vtep;

	return (x > y) - (x < y);
}

/* To one node. It may be another one's index by now: there nothing is found. */
static void notify(const struct cut_flow *flows, unsigned int n)
{
	const struct vtep *vtep = vtep_get(flows->vtep);
	char text[CUT_TEXT_MAX];
	json_t *items;

	if (vtep == NULL)
		return;
	items = json_array();
	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(items, json_stringn(text, cut_format(&flows[i], text)));
	rpc_notify("session.cut", json_pack("{s:s, s:o}", "node", vtep->name, "items", items));
}

static void notify_each(struct cut_flow *flows, unsigned int n)
{
	unsigned int end;

	qsort(flows, n, sizeof(flows[0]), by_vtep);
	for (unsigned int i = 0; i < n; i = end) {
		for (end = i + 1; end < n && flows[end].vtep == flows[i].vtep;)
			end++;
		notify(&flows[i], end - i);
	}
}

void cut_turn(void)
{
	static struct cut_flow flows[CUT_PAGE];
	unsigned int n;

	for (unsigned int i = 0; i < RTE_DIM(rings) && rings[i] != NULL; i++) {
		do {
			n = rte_ring_sc_dequeue_burst_elem(
				rings[i], flows, sizeof(flows[0]), CUT_PAGE, NULL);
			notify_each(flows, n);
		} while (n == CUT_PAGE);
	}
}
