/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_usage.h"

#include <stdlib.h>

#include "core/rcu.h"
#include "core/usage.h"
#include "session/account.h"

/* Lives on until the last of the sessions is counted. */
struct nat_bill {
	struct usage_entry entry; /* but figures */
	uint16_t account;
};

static struct usage_entry entry_of(const struct nat_bill *bill)
{
	struct account_figures a = account_figures(bill->account);
	struct usage_entry entry = bill->entry;

	entry.figures = (struct usage_figures){.rx_packets = a.out_packets,
		.rx_bytes = a.out_bytes,
		.tx_packets = a.in_packets,
		.tx_bytes = a.in_bytes};
	return entry;
}

void nat_usage_begin(struct nat_gateway *gw)
{
	const struct nat_rules *rules = gw->rules;

	if (gw->bill == NULL) {
		gw->bill = calloc(1, sizeof(*gw->bill));
		if (gw->bill == NULL)
			return; /* carried for nothing */
		gw->bill->account = account_new();
		gw->bill->entry = usage_entry_make(
			"nat_gateway", gw->name, usage_instance(), rules->revision);
		atomic_store_explicit(&gw->account, gw->bill->account, memory_order_relaxed);
	}
	gw->bill->entry.revision = rules->revision;
}

static void ended(void *arg)
{
	struct nat_bill *bill = arg;
	struct usage_entry entry = entry_of(bill);

	usage_ended(&entry);
	free(bill);
}

void nat_usage_end(struct nat_gateway *gw)
{
	struct nat_bill *bill = gw->bill;
	struct usage_entry entry;

	if (bill == NULL)
		return;
	atomic_store_explicit(&gw->account, ACCOUNT_NONE, memory_order_relaxed);
	gw->bill = NULL;
	entry = entry_of(bill);
	usage_ending(&entry);
	account_close(bill->account, ended, bill);
}

struct to {
	usage_fn fn;
	void *arg;
};

static void each(struct nat_gateway *gw, void *arg)
{
	const struct to *to = arg;
	struct usage_entry entry;

	if (gw->bill == NULL)
		return;
	entry = entry_of(gw->bill);
	to->fn(&entry, to->arg);
}

static void each_usage(usage_fn fn, void *arg)
{
	struct to to = {fn, arg};

	nat_gateway_each(each, &to);
}
USAGE_SOURCE(nat_usage_source, each_usage)
