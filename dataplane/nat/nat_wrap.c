/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between a session and its binding: the filter set, the log. */
#include "nat/nat_binding.h"
#include "nat/nat_flow.h"

/* The filter set of a mapping has the outside address. Takes over and returns a reference, as nat_wrap(). */
static uint32_t note_remote(uint32_t id, const struct ip_addr *remote)
{
	struct nat_record key = {.kind = NAT_REMOTE,
		.gateway = nat_record_of(id)->gateway,
		.parent = id,
		.remote = *remote};
	bool made;
	uint32_t outer = nat_record_found_or_made(&key, &made);

	if (!made) /* what was there refers to the mapping already */
		nat_hold_drop(id);
	return outer;
}

uint32_t nat_wrap(const struct flow *f, const struct nat_rules *rules, uint32_t id,
	const struct nat_ends *ends)
{
	struct nat_record *r;
	uint32_t outer;

	if (nat_record_of(id)->kind == NAT_MAPPING && rules->filtering == NAT_FILTER_ADDRESS)
		id = note_remote(id, &ends->remote);
	if (id == 0 || rules->log != NAT_LOG_SESSION)
		return id;
	outer = nat_hold_new(NAT_LOGGED, nat_record_of(id)->gateway);
	if (outer == 0) {
		nat_hold_drop(id);
		return 0;
	}
	r = nat_record_of(outer);
	r->parent = id;
	r->addr = ends->inside;
	r->port = ends->inside_port;
	r->outside = ends->outside_port;
	r->remote = ends->remote;
	r->remote_port = ends->remote_port;
	r->proto = f->proto;
	return outer;
}
