/* SPDX-License-Identifier: Apache-2.0 */
/* What of an elastic IP lives on when its item changes: rates, and what it has carried. Flows of an address with a rate are counted
 * by its shapers, which they pass anyway; others by their sessions (session/account.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "core/node.h"
#include "core/pkt.h"
#include "core/rcu.h"
#include "eip/eip_record.h"

static struct qos_rate no_limit;

static bool take_meters(struct eip_life *life)
{
	life->account = account_new();
	if (life->account == ACCOUNT_NONE) {
		errno = ENOSPC;
		return false;
	}
	life->meter.ingress = qos_shaper_new(&no_limit, drop_owner_node());
	if (life->meter.ingress != QOS_NONE)
		life->meter.egress = qos_shaper_new(&no_limit, drop_owner_node());
	return life->meter.egress != QOS_NONE;
}

struct eip_life *eip_life_new(const char *name, bool here)
{
	struct eip_life *life = calloc(1, sizeof(*life));

	if (life == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	snprintf(life->name, sizeof(life->name), "%s", name);
	life->epoch = epoch_take();
	if (life->epoch == EPOCH_NO_SLOT)
		errno = ENOSPC;
	if (life->epoch == EPOCH_NO_SLOT || (here && !take_meters(life))) {
		int err = errno;

		eip_life_free(life);
		errno = err;
		return NULL;
	}
	life->here = here;
	life->usage = here ? usage_instance() : 0;
	return life;
}

void eip_life_set(struct eip_life *life, const struct eip_record *r)
{
	uint32_t owner =
		r->vpc_index != PKT_VPC_NONE ? drop_owner_vpc(r->vpc_index) : drop_owner_node();

	life->revision = r->revision;
	if (!life->here)
		return;
	qos_shaper_set(life->meter.ingress, &r->rate);
	qos_shaper_set(life->meter.egress, &r->rate);
	qos_shaper_set_owner(life->meter.ingress, owner);
	qos_shaper_set_owner(life->meter.egress, owner);
	bucket_set(&life->new_flows, r->new_per_s, rte_get_tsc_hz(), r->new_per_s, 0);
}

static struct usage_figures figures_of(const struct eip_life *life)
{
	struct account_figures a = account_figures(life->account);
	struct qos_count out = qos_shaper_count(life->meter.egress),
			 in = qos_shaper_count(life->meter.ingress);

	return (struct usage_figures){
		.rx_packets = a.out_packets + out.packets,
		.rx_bytes = a.out_bytes + out.bytes,
		.tx_packets = a.in_packets + in.packets,
		.tx_bytes = a.in_bytes + in.bytes,
	};
}

static struct usage_entry entry_of(const struct eip_life *life)
{
	struct usage_entry entry =
		usage_entry_make(EIP_KIND, life->name, life->usage, life->revision);

	entry.figures = figures_of(life);
	return entry;
}

static void release(void *arg)
{
	struct eip_life *life = arg;

	qos_shaper_free(life->meter.ingress);
	qos_shaper_free(life->meter.egress);
	if (life->epoch != EPOCH_NO_SLOT)
		epoch_free(life->epoch);
	free(life);
}

/* The last of its sessions has been added. */
static void ended(void *arg)
{
	struct eip_life *life = arg;
	struct usage_entry entry = entry_of(life);

	usage_ended(&entry);
	release(life);
}

void eip_life_retire(struct eip_life *life)
{
	struct usage_entry entry;

	epoch_bump(life->epoch);
	if (!life->here) {
		rcu_defer(release, life);
		return;
	}
	entry = entry_of(life);
	usage_ending(&entry);
	account_close(life->account, ended, life);
}

void eip_life_free(struct eip_life *life)
{
	account_close(life->account, NULL, NULL);
	release(life);
}

bool eip_usage(const struct eip *eip, struct usage_figures *figures)
{
	const struct eip_life *life = eip_record_of(eip)->life;

	if (life->here)
		*figures = figures_of(life);
	return life->here;
}

static void each_usage(usage_fn fn, void *arg)
{
	for (const struct eip_record *r = eip_record_next(NULL); r != NULL;
		r = eip_record_next(r)) {
		struct usage_entry entry;

		if (!r->life->here)
			continue;
		entry = entry_of(r->life);
		fn(&entry, arg);
	}
}
USAGE_SOURCE(eip_usage_source, each_usage)
