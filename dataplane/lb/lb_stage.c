/* SPDX-License-Identifier: Apache-2.0 */
/* A flow to a balancer's address: may the client, and whom does it get?
 *
 * The client's address is kept. Only a back end that is balanced to itself would take the packet for its own, so it sees the
 * balancer's address as source; its answers come back here by that.
 */
#include <netinet/in.h>
#include <stddef.h>

#include "base/ip_text.h"
#include "base/prefix_map.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "lb/lb_internal.h"
#include "vpc/vpc.h"

static const char *const scheduler_names[] = {
	[LB_ROUND_ROBIN] = "round_robin",
	[LB_WEIGHTED_ROUND_ROBIN] = "weighted_round_robin",
	[LB_LEAST_CONNECTIONS] = "least_connections",
	[LB_SOURCE_HASH] = "source_hash",
	[LB_MAGLEV] = "maglev",
};
static const char *const health_names[] = {
	[LB_HEALTH_UNKNOWN] = "unknown",
	[LB_HEALTH_UP] = "up",
	[LB_HEALTH_DOWN] = "down",
};

const char *lb_scheduler_name(enum lb_scheduler scheduler)
{
	return scheduler_names[scheduler];
}

const char *lb_health_name(enum lb_health health)
{
	return health_names[health];
}

static bool refuse(struct flow *f, const struct lb *lb, enum drop_reason reason)
{
	return flow_drop(f, reason, "load_balancer", lb->name, -1);
}

static bool allows(const struct lb_config *config, const struct ip_addr *client)
{
	return config->allow == NULL || prefix_map_find(config->allow, client) != NULL;
}

/* The one that the session has, while that may go on. */
static struct lb_backend *kept_backend(const struct flow *f, const struct lb_listener *l)
{
	const struct flow_kept *kept = f->kept;
	struct lb_backend *b = kept != NULL ? lb_backend_get(kept->hold.id[HOLD_LB]) : NULL;

	if (b == NULL || b->listener != l || !lb_backend_keeps(b, f->proto, kept->answered) ||
		b->port_number != kept->new_dport || !ip_addr_equal(&b->addr, &kept->new_dst))
		return NULL;
	return b;
}

static struct lb_backend *new_backend(struct flow *f, struct lb_listener *l)
{
	struct lb_client client = {
		.addr = f->new_src,
		.vip = f->new_dst,
		.port = f->new_sport,
		.now_ms = worker_self != NULL ? worker_self->now_ms : clock_ms(),
		.tries = f->tries,
		.dry = f->dry,
	};
	struct lb_backend *b = lb_pick(l, &client);

	if (b != NULL && !f->dry)
		lb_connection_opened(b->id);
	return b;
}

static void explain(struct flow *f, const struct lb *lb, const struct lb_config *config,
	const struct lb_backend *b, bool kept)
{
	char text[NET_ADDR_TEXT];

	flow_step(f, "load_balancer", lb->name, -1, "%s %s%s%s port %u, %s: %s, %u connections",
		kept ? "stays with" : "back end", b->port_name, b->port_name[0] != '\0' ? " " : "",
		ip_addr_format(&b->addr, text), rte_be_to_cpu_16(b->port_number),
		lb_scheduler_name(config->scheduler), lb_health_name(b->health), lb_connections(b));
}

/* Machines of one subnet answer each other directly, so the packet comes as if it had been sent so: the back end's node would not
 * take an answer to the client for one to the gateway. */
static void look_direct(struct flow *f)
{
	const struct subnet *subnet = f->src_ep != NULL ? f->src_ep->subnet : NULL;

	if (subnet != NULL && f->dst_ep != NULL && f->dst_ep->subnet == subnet &&
		ip_addr_equal(&f->src, &f->new_src))
		f->out_smac = f->src_ep->mac;
}

static bool deliver(struct flow *f, const struct lb *lb, const struct lb_backend *b)
{
	struct vpc *vpc = vpc_by_vni(lb->vni);
	struct ip_addr vip = f->new_dst;

	if (vpc == NULL)
		return refuse(f, lb, DROP_STALE);
	if (ip_addr_equal(&f->new_src, &b->addr)) {
		flow_step(f, "load_balancer", lb->name, -1,
			"balanced to itself, it sees the address of the balancer");
		f->new_src = vip;
	}
	f->new_dport = b->port_number;
	if (!flow_deliver(f, vpc, &b->addr))
		return false;
	look_direct(f);
	return true;
}

static bool balance(struct flow *f, const struct lb *lb, struct lb_listener *l)
{
	const struct lb_config *config = rcu_ptr_get(l->config);
	struct lb_backend *b;
	bool kept;

	if (config == NULL || !allows(config, &f->new_src)) {
		flow_step(f, "load_balancer", lb->name, -1,
			"the client is not in the listener's allow_cidrs");
		return refuse(f, lb, DROP_LB_NOT_ALLOWED);
	}
	b = kept_backend(f, l);
	kept = b != NULL;
	if (!kept)
		b = new_backend(f, l);
	if (b == NULL) {
		flow_step(f, "load_balancer", lb->name, -1, "no back end takes connections");
		return refuse(f, lb, DROP_LB_NO_BACKEND);
	}
	f->no_reuse = f->proto == IPPROTO_TCP && !lb_backend_takes(b);
	if (kept || !f->dry)
		f->hold.id[HOLD_LB] = b->id;
	flow_depend(f, b->epoch);
	flow_account(f, lb->account, true);
	explain(f, lb, config, b, kept);
	return deliver(f, lb, b);
}

bool lb_serve(struct flow *f, const struct lb *lb)
{
	struct lb_listener *l = lb_listener_at(lb, f->proto, f->new_dport);

	if (l != NULL)
		return balance(f, lb, l);
	flow_step(f, "load_balancer", lb->name, -1, "does not listen to protocol %u, port %u",
		f->proto, rte_be_to_cpu_16(f->new_dport));
	return refuse(f, lb, DROP_LB_NO_LISTENER);
}

static bool arrive(struct flow *f, const struct endpoint *ep)
{
	return lb_serve(
		f, (const struct lb *)((const char *)ep->service - offsetof(struct lb, service)));
}

const struct flow_service lb_service = {.kind = "load_balancer", .arrive = arrive};
