/* SPDX-License-Identifier: Apache-2.0 */
/* What balancers have carried, for bills: what their sessions here count. A private one has a figure on each node of its clients; the
 * controller adds them up. */
#include <stdlib.h>

#include "core/rcu.h"
#include "core/usage.h"
#include "lb/lb_internal.h"
#include "session/account.h"

static struct usage_entry entry_of(const struct lb *lb)
{
	struct usage_entry entry =
		usage_entry_make("load_balancer", lb->name, lb->instance, lb->revision);
	struct account_figures a = account_figures(lb->account);

	entry.figures = (struct usage_figures){.rx_packets = a.out_packets,
		.rx_bytes = a.out_bytes,
		.tx_packets = a.in_packets,
		.tx_bytes = a.in_bytes};
	return entry;
}

void lb_usage_ending(const struct lb *lb)
{
	struct usage_entry entry = entry_of(lb);

	usage_ending(&entry);
}

/* The last of its sessions has been added. */
static void ended(void *arg)
{
	struct lb *lb = arg;
	struct usage_entry entry = entry_of(lb);

	usage_ended(&entry);
	rcu_defer(free, lb);
}

void lb_usage_close(struct lb *lb)
{
	account_close(lb->account, ended, lb);
}

struct visit {
	usage_fn fn;
	void *arg;
};

static void visit(struct lb *lb, void *arg)
{
	const struct visit *v = arg;
	struct usage_entry entry = entry_of(lb);

	v->fn(&entry, v->arg);
}

static void each(usage_fn fn, void *arg)
{
	lb_each(visit, &(struct visit){fn, arg});
}

USAGE_SOURCE(lb_usage_source, each)
