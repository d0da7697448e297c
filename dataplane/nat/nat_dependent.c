/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint-dependent bindings: a port for each flow, that others may have who go elsewhere. */
#include "core/worker.h"
#include "nat/nat_binding.h"
#include "session/session.h"

/* Ports of a destination that are tried, endpoint-dependent. With 99 % of them taken one in 10^9 flows finds none. */
#define TRIES 2048u
/* A destination that none was found for is not searched for again that long. */
#define FULL_MS 100u
#define FULL_NOTES 256u

struct answers {
	uint32_t scope;
	const struct flow *f;
	const struct nat_address *a;
	uint8_t proto;
};

/* Nobody's answers come from that destination to that port. Of the first one asked about the line to look at is here already:
 * nat_foresee.c. */
static bool fits(void *arg, uint16_t port)
{
	const struct answers *w = arg;
	const struct flow *f = w->f;
	rte_be16_t outside = rte_cpu_to_be_16(port);
	struct session_key key =
		f->out_v6 ? session_key_v6(w->scope, w->proto, &f->new_dst, &w->a->ip, f->new_dport,
				    outside)
			  : session_key_v4(w->scope, w->proto, ip_addr_v4(&f->new_dst),
				    ip_addr_v4(&w->a->ip), f->new_dport, outside);

	return session_lookup(&key, session_hash(&key), &f->new_dst, &w->a->ip) == SESSION_NONE;
}

/* Destinations that had no port left a moment ago: [hash of address, destination] → until when. A worker's own. */
static __thread struct full_note {
	uint32_t hash, until_ms;
} full_notes[FULL_NOTES];

/* Until when there are any. */
static __thread uint32_t full_until_ms;

static struct full_note *full_note_of(
	const struct flow *f, const struct nat_address *a, uint32_t *hash)
{
	uint64_t h = hash_mix(hash_mix(a->id, f->new_dst.q[0]), f->new_dst.q[1]);

	*hash = hash_fold(hash_mix(h, (uint64_t)f->new_dport << 8 | f->proto)) | 1;
	return &full_notes[*hash / 2 % FULL_NOTES];
}

static uint32_t now_ms(void)
{
	return worker_self != NULL ? worker_self->now_ms : clock_ms();
}

/* The port of `host` that was granted gets a record, which takes over the host's reference. 0: none left. */
static uint32_t flow_record(const struct flow *f, const struct nat_gateway *gw,
	enum nat_space space, uint32_t host, struct nat_address *a, uint16_t port)
{
	uint32_t id = nat_binding_new(NAT_FLOW, f, gw, space, host, a);

	if (id == 0)
		return 0;
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	nat_record_of(id)->outside = rte_cpu_to_be_16(port);
	return id;
}

bool nat_flow_of_part(struct flow *f)
{
	uint32_t host = f->hold.id[HOLD_NAT], part = f->hold.part, id;
	const struct nat_record *r = nat_record_of(host);
	const struct nat_gateway *gw = nat_gateway_at(r->gateway);
	struct nat_address *a = nat_address_at(r->address);

	id = gw != NULL && a != NULL
		     ? flow_record(f, gw, nat_part_space(part), host, a, nat_part_port(part))
		     : 0;
	if (id == 0)
		return false;
	f->hold.id[HOLD_NAT] = id;
	f->hold.part = 0;
	return true;
}

static bool is_noted_full(const struct flow *f, const struct nat_address *a)
{
	uint32_t hash, now = now_ms();
	const struct full_note *full;

	if ((int32_t)(full_until_ms - now) <= 0)
		return false;
	full = full_note_of(f, a, &hash);
	return full->hash == hash && (int32_t)(full->until_ms - now) > 0;
}

static void note_full(const struct flow *f, const struct nat_address *a)
{
	uint32_t hash;
	struct full_note *full = full_note_of(f, a, &hash);

	full_until_ms = now_ms() + FULL_MS;
	*full = (struct full_note){hash, full_until_ms};
}

/* A port of the address for the flow. */
static bool share(const struct flow *f, enum nat_space space, uint32_t host,
	const struct nat_address *a, struct nat_grant *grant)
{
	const struct external *ext = external_at(a->network);
	struct answers w = {.f = f, .a = a, .proto = f->proto};

	if (ext == NULL || is_noted_full(f, a))
		return false;
	w.scope = ext->scope->index;
	if (f->v6 && !f->out_v6 && space == NAT_ICMP)
		w.proto = IPPROTO_ICMP;
	if (!nat_ports_share(a->ports[space], nat_lease_of(a, host, space), host,
		    rte_be_to_cpu_16(f->sport), nat_random_of(f), TRIES, fits, &w, grant)) {
		note_full(f, a);
		return false;
	}
	nat_binding_leased(a, space, host, grant);
	return true;
}

/* On one address. Takes over `host`'s reference if it returns something: a part of the host, or a record where it takes one to say
 * which address it is, or to log it. */
static uint32_t flow_new(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	enum nat_space space, uint32_t host, struct nat_address *a, uint32_t *part)
{
	bool whole = a->id != nat_record_of(host)->address || rules->log == NAT_LOG_SESSION;
	struct nat_grant grant;
	uint32_t id;

	if (!share(f, space, host, a, &grant))
		return 0;
	if (!whole) {
		*part = nat_part(space, grant.port);
		return host;
	}
	id = flow_record(f, gw, space, host, a, grant.port);
	if (id == 0)
		nat_ports_unshare(a->ports[space], grant.port);
	return id;
}

/* The host's address; without blocks also another one, when that has no port for the destination. */
uint32_t nat_map_dependent(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space, enum nat_refusal *why,
	uint32_t *part)
{
	uint32_t host = nat_host_of(f, gw, rules, source, space), id = 0;
	struct nat_address *a;

	*part = 0;
	*why = host != 0 ? NAT_REFUSED_PORTS : NAT_REFUSED_RECORDS;
	if (host == 0)
		return 0;
	a = nat_address_at(nat_record_of(host)->address);
	if (a != NULL)
		id = flow_new(f, gw, rules, space, host, a, part);
	for (uint32_t i = 0; id == 0 && rules->block == 0 && i < source->n[f->out_v6]; i++) {
		a = nat_address_at(rules->addresses[source->first[f->out_v6] + i]);
		if (a != NULL && a->id != nat_record_of(host)->address)
			id = flow_new(f, gw, rules, space, host, a, part);
	}
	if (id == 0)
		nat_hold_drop(host);
	return id;
}
