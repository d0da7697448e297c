/* SPDX-License-Identifier: Apache-2.0 */
/* The outside address and port of a flow: kept, found or made.
 *
 * Endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1): one mapping for all flows of an inside address and port. Endpoint-dependent: a
 * port for each flow, which flows to other destinations may have, too. In both an inside address keeps its outside address
 * (REQ-2), as long as it has any flow.
 */
#include "base/ip_text.h"
#include "core/worker.h"
#include "nat/nat_flow.h"
#include "nat/nat_log.h"
#include "session/session.h"

/* Ports of a destination that are tried, endpoint-dependent. With 99 % of them taken one in 10^9 flows finds none. */
#define TRIES 2048u
/* A destination that none was found for is not searched for again that long. */
#define FULL_MS 100u
#define FULL_NOTES 256u

uint64_t nat_random(void)
{
	static __thread uint64_t n;

	n++;
	return session_mix(
		n * 0x9e3779b97f4a7c15 ^ session_seed[0], session_seed[1] ^ (uintptr_t)&n);
}

bool nat_refuse(struct flow *f, struct nat_gateway *gw, enum nat_refusal why)
{
	static const char *const texts[] = {
		[NAT_REFUSED_NOTHING] = "",
		[NAT_REFUSED_PORTS] = "no port is left on its addresses",
		[NAT_REFUSED_PER_PORT] = "the vNIC has as many sessions as it may",
		[NAT_REFUSED_PER_VPC] = "the VPC has as many sessions as it may",
		[NAT_REFUSED_RECORDS] = "the table of mappings is full",
	};

	flow_step(f, "nat_gateway", gw->name, -1, "%s", texts[why]);
	if (!f->dry) {
		atomic_fetch_add_explicit(&gw->refused, 1, memory_order_relaxed);
		atomic_store_explicit(&gw->refusal, (uint8_t)why, memory_order_relaxed);
	}
	return flow_drop(f, DROP_NAT_EXHAUSTED, "nat_gateway", gw->name, -1);
}

/*
 * Hosts and vNICs.
 */
static struct nat_record host_key(const struct flow *f, const struct nat_gateway *gw)
{
	return (struct nat_record){
		.kind = NAT_HOST, .gateway = gw->id, .space = f->out_v6, .addr = f->src};
}

/* A vNIC by its MAC; or whoever sends from an address that is no port's. */
static struct nat_record owner_key(const struct flow *f, const struct nat_gateway *gw)
{
	const struct rte_ether_addr *mac = f->src_ep != NULL    ? &f->src_ep->mac
					   : f->in_port != NULL ? &f->in_port->mac
								: NULL;
	struct nat_record key = {.kind = NAT_OWNER, .gateway = gw->id, .space = mac != NULL};

	if (mac != NULL)
		memcpy(&key.addr, mac, sizeof(*mac));
	else
		key.addr = f->src;
	return key;
}

/* The record of that key, with a reference; *made if there was none. 0: none left. */
static uint32_t found_or_made(const struct nat_record *key, bool *made)
{
	uint32_t id = nat_table_find(key), there;
	struct nat_record *r;

	*made = false;
	if (id != 0)
		return id;
	id = nat_hold_new((enum nat_kind)key->kind, key->gateway);
	if (id == 0)
		return 0;
	r = nat_record_of(id);
	r->space = key->space;
	r->port = key->port;
	r->addr = key->addr;
	r->parent = key->parent;
	if (key->kind == NAT_REMOTE)
		r->remote = key->remote;
	there = nat_table_add(id);
	*made = there == id;
	if (!*made)
		nat_hold_discard(id);
	return there;
}

static uint32_t load_of(const struct nat_address *a, enum nat_space space)
{
	struct nat_ports_use use = nat_ports_use(a->ports[space]);

	return use.used + use.resting;
}

/* Of two at random the one with more ports left. */
static uint32_t choose_address(const struct nat_rules *rules, const struct nat_source *source,
	bool v6, enum nat_space space)
{
	const uint32_t *ids = &rules->addresses[source->first[v6]];
	uint64_t random = nat_random();
	uint32_t n = source->n[v6], one = ids[(uint32_t)random % n],
		 two = ids[(uint32_t)(random >> 32) % n];
	const struct nat_address *a = nat_address_at(one), *b = nat_address_at(two);

	if (a == NULL || b == NULL || one == two)
		return a != NULL ? one : two;
	return load_of(a, space) <= load_of(b, space) ? one : two;
}

/* The inside address, which has its outside one from its first flow on. With a reference; 0: no record left. */
static uint32_t host_of(const struct flow *f, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space)
{
	struct nat_record key = host_key(f, gw), owner = owner_key(f, gw);
	uint32_t id = nat_table_find(&key), there, address;
	struct nat_address *a;
	struct nat_record *r;
	bool made;

	if (id != 0 && nat_source_has(rules, source, nat_record_of(id)->address))
		return id;
	if (id != 0) { /* the address is no longer the rule's */
		nat_table_hide(id);
		nat_hold_drop(id);
	}
	address = choose_address(rules, source, f->out_v6, space);
	a = nat_address_at(address);
	id = a != NULL ? nat_hold_new(NAT_HOST, gw->id) : 0;
	if (id == 0)
		return 0;
	r = nat_record_of(id);
	r->space = key.space;
	r->addr = key.addr;
	r->address = address;
	r->parent = found_or_made(&owner, &made);
	if (r->parent == 0) {
		nat_hold_discard(id);
		return 0;
	}
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	there = nat_table_add(id);
	if (there != id)
		nat_hold_drop(id);
	return there;
}

/*
 * Endpoint-independent mappings.
 */
static struct nat_record mapping_key(
	const struct flow *f, const struct nat_gateway *gw, enum nat_space space)
{
	return (struct nat_record){.kind = NAT_MAPPING,
		.gateway = gw->id,
		.space = (uint8_t)(space | (f->v6 && !f->out_v6 ? NAT_TO_V4 : 0)),
		.port = f->sport,
		.addr = f->src};
}

/* The host has a block more, and so a reference. */
static void note_lease(const struct nat_address *a, enum nat_space space, uint32_t host,
	const struct nat_grant *grant)
{
	if (!grant->leased)
		return;
	nat_record_get(host);
	nat_log_block(a, space, host, grant->block_from, grant->block_to, true);
}

static struct nat_lease *lease_of(const struct nat_address *a, uint32_t host, enum nat_space space)
{
	return a->block != 0 ? &nat_record_of(host)->leases[space] : NULL;
}

/* A record for a port of `host`, whose reference it takes over; of no port yet. */
static uint32_t binding_new(enum nat_kind kind, const struct flow *f, const struct nat_gateway *gw,
	enum nat_space space, uint32_t host, struct nat_address *a)
{
	uint32_t id = nat_hold_new(kind, gw->id);
	struct nat_record *r = nat_record_of(id);

	if (id == 0)
		return 0;
	r->space = mapping_key(f, gw, space).space;
	r->port = f->sport;
	r->addr = f->src;
	r->parent = host;
	r->address = a->id;
	return id;
}

/* Takes over `host`'s reference. 0: refused. */
static uint32_t mapping_new(struct flow *f, struct nat_gateway *gw, enum nat_space space,
	uint32_t host, enum nat_refusal *why)
{
	struct nat_address *a = nat_address_at(nat_record_of(host)->address);
	uint32_t id = a != NULL ? binding_new(NAT_MAPPING, f, gw, space, host, a) : 0, there;
	struct nat_grant grant;

	*why = NAT_REFUSED_RECORDS;
	if (id == 0) {
		nat_hold_drop(host);
		return 0;
	}
	*why = NAT_REFUSED_PORTS;
	if (!nat_ports_take(a->ports[space], lease_of(a, host, space), host,
		    rte_be_to_cpu_16(f->sport), nat_random(), &grant)) {
		nat_hold_discard(id);
		nat_hold_drop(host);
		return 0;
	}
	note_lease(a, space, host, &grant);
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	nat_record_of(id)->outside = rte_cpu_to_be_16(grant.port);
	there = nat_table_add(id);
	if (there == id) {
		atomic_store_explicit(&a->mapped[space][grant.port], id, memory_order_release);
		return id;
	}
	/* Another worker was first: nobody has used the port. */
	atomic_fetch_sub_explicit(&a->records, 1, memory_order_relaxed);
	nat_ports_put(a->ports[space], grant.port, false);
	nat_hold_discard(id);
	nat_hold_drop(host);
	return there;
}

static bool port_is_free(const struct nat_record *r)
{
	const struct nat_address *a = nat_address_at(r->address);

	return a != NULL &&
	       !nat_ports_is_reserved(a->ports[nat_space_of(r)], rte_be_to_cpu_16(r->outside));
}

/* May flows of the rule have it? */
static bool is_legal(const struct nat_record *r, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source)
{
	return r->gateway == gw->id && r->kind == (rules->dependent ? NAT_FLOW : NAT_MAPPING) &&
	       nat_source_has(rules, source, r->address) && port_is_free(r);
}

/* 0: refused. Else with a reference. */
static uint32_t map_independent(struct flow *f, struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space,
	enum nat_refusal *why)
{
	struct nat_record key = mapping_key(f, gw, space);
	uint32_t id = nat_table_find(&key), host;

	if (id != 0 && is_legal(nat_record_of(id), gw, rules, source))
		return id;
	if (id != 0) {
		nat_table_hide(id);
		nat_hold_drop(id);
	}
	*why = NAT_REFUSED_RECORDS;
	host = host_of(f, gw, rules, source, space);
	return host != 0 ? mapping_new(f, gw, space, host, why) : 0;
}

/*
 * Endpoint-dependent.
 */
struct answers {
	uint32_t scope;
	const struct flow *f;
	const struct nat_address *a;
	uint8_t proto;
};

/* Nobody's answers come from that destination to that port. */
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

/* On one address. Takes over `host`'s reference if it returns a record. */
static uint32_t flow_new(struct flow *f, struct nat_gateway *gw, enum nat_space space,
	uint32_t host, struct nat_address *a)
{
	const struct eip *eip = nat_address_eip(a);
	struct answers w = {.f = f, .a = a, .proto = f->proto};
	uint32_t id, hash;
	struct full_note *full = full_note_of(f, a, &hash);
	struct nat_grant grant;

	if (eip == NULL || (full->hash == hash && (int32_t)(full->until_ms - now_ms()) > 0))
		return 0;
	w.scope = eip->ext->scope->index;
	if (f->v6 && !f->out_v6 && space == NAT_ICMP)
		w.proto = IPPROTO_ICMP;
	id = binding_new(NAT_FLOW, f, gw, space, host, a);
	if (id == 0)
		return 0;
	if (!nat_ports_share(a->ports[space], lease_of(a, host, space), host,
		    rte_be_to_cpu_16(f->sport), nat_random(), TRIES, fits, &w, &grant)) {
		*full = (struct full_note){hash, now_ms() + FULL_MS};
		nat_hold_discard(id);
		return 0;
	}
	note_lease(a, space, host, &grant);
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	nat_record_of(id)->outside = rte_cpu_to_be_16(grant.port);
	return id;
}

/* The host's address; without blocks also another one, when that has no port for the destination. */
static uint32_t map_dependent(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space, enum nat_refusal *why)
{
	uint32_t host = host_of(f, gw, rules, source, space), id = 0;
	struct nat_address *a;

	*why = host != 0 ? NAT_REFUSED_PORTS : NAT_REFUSED_RECORDS;
	if (host == 0)
		return 0;
	a = nat_address_at(nat_record_of(host)->address);
	if (a != NULL)
		id = flow_new(f, gw, space, host, a);
	for (uint32_t i = 0; id == 0 && rules->block == 0 && i < source->n[f->out_v6]; i++) {
		a = nat_address_at(rules->addresses[source->first[f->out_v6] + i]);
		if (a != NULL && a->id != nat_record_of(host)->address)
			id = flow_new(f, gw, space, host, a);
	}
	if (id == 0)
		nat_hold_drop(host);
	return id;
}

/*
 * All of it.
 */
/* The filter set of a mapping has the outside address. Takes over and returns a reference, as nat_wrap(). */
static uint32_t note_remote(uint32_t id, const struct ip_addr *remote)
{
	struct nat_record key = {.kind = NAT_REMOTE,
		.gateway = nat_record_of(id)->gateway,
		.parent = id,
		.remote = *remote};
	bool made;
	uint32_t outer = found_or_made(&key, &made);

	if (!made) /* what was there refers to the mapping already */
		nat_hold_drop(id);
	return outer;
}

uint32_t nat_wrap(const struct flow *f, const struct nat_rules *rules, uint32_t id,
	const struct ip_addr *remote, rte_be16_t remote_port)
{
	struct nat_record *r;
	uint32_t outer;

	if (nat_record_of(id)->kind == NAT_MAPPING && rules->filtering == NAT_FILTER_ADDRESS)
		id = note_remote(id, remote);
	if (id == 0 || rules->log != NAT_LOG_SESSION)
		return id;
	outer = nat_hold_new(NAT_LOGGED, nat_record_of(id)->gateway);
	if (outer == 0) {
		nat_hold_drop(id);
		return 0;
	}
	r = nat_record_of(outer);
	r->parent = id;
	r->remote = *remote;
	r->remote_port = remote_port;
	r->proto = f->proto;
	return outer;
}

static uint32_t sessions_of_owner(const struct flow *f, const struct nat_gateway *gw)
{
	struct nat_record key = owner_key(f, gw);
	const struct nat_record *owner = nat_table_look(&key);

	return owner != NULL ? atomic_load_explicit(&owner->sessions, memory_order_relaxed) : 0;
}

/* Before anything is taken, so two workers at once may go over it by one. */
static enum nat_refusal limit_of(
	const struct flow *f, const struct nat_gateway *gw, const struct nat_rules *rules)
{
	if (rules->per_vpc != 0 &&
		atomic_load_explicit(&gw->sessions, memory_order_relaxed) >= rules->per_vpc)
		return NAT_REFUSED_PER_VPC;
	if (rules->per_port != 0 && sessions_of_owner(f, gw) >= rules->per_port)
		return NAT_REFUSED_PER_PORT;
	return NAT_REFUSED_NOTHING;
}

static void set_source(struct flow *f, const struct nat_gateway *gw,
	const struct nat_source *source, const struct ip_addr *ip, rte_be16_t port, const char *how)
{
	char text[NET_ADDR_TEXT];

	f->new_src = *ip;
	f->new_sport = port;
	flow_step(f, "nat_gateway", gw->name, (int32_t)source->rule,
		"source becomes %s port %u, %s", ip_addr_format(ip, text), rte_be_to_cpu_16(port),
		how);
}

/* What the flow would get; nothing is taken. */
static bool look(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space)
{
	struct nat_record key = mapping_key(f, gw, space), host = host_key(f, gw);
	const struct nat_record *r = rules->dependent ? NULL : nat_table_look(&key);
	const struct nat_address *a;
	uint32_t address;
	uint16_t port;

	if (r != NULL && is_legal(r, gw, rules, source) &&
		(a = nat_address_at(r->address)) != NULL) {
		set_source(f, gw, source, &a->ip, r->outside, "a mapping that is there");
		return true;
	}
	r = nat_table_look(&host);
	address = r != NULL && nat_source_has(rules, source, r->address)
			  ? r->address
			  : choose_address(rules, source, f->out_v6, space);
	a = nat_address_at(address);
	if (a == NULL ||
		!nat_ports_look(a->ports[space], rte_be_to_cpu_16(f->sport), nat_random(), &port))
		return nat_refuse(f, gw, NAT_REFUSED_PORTS);
	set_source(f, gw, source, &a->ip, rte_cpu_to_be_16(port), "for example");
	return true;
}

/* The session's own, if it is still what it may have. */
static bool keep(struct flow *f, const struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source)
{
	uint32_t id = nat_kept_of(f);
	const struct nat_record *root = nat_hold_root(id);
	const struct nat_address *a;

	if (root == NULL || !is_legal(root, gw, rules, source) ||
		(a = nat_address_at(root->address)) == NULL)
		return false;
	f->hold.id[HOLD_NAT] = id;
	set_source(f, gw, source, &a->ip, root->outside, "as it has been");
	return true;
}

bool nat_translate(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source)
{
	enum nat_space space = nat_space_of_flow(f);
	enum nat_refusal why;
	uint32_t id;

	if (space == NAT_SPACES) {
		flow_step(f, "nat_gateway", gw->name, -1, "protocol %u has no ports", f->proto);
		return flow_drop(f, DROP_UNSUPPORTED, "nat_gateway", gw->name, -1);
	}
	if (keep(f, gw, rules, source))
		return true;
	why = limit_of(f, gw, rules);
	if (why != NAT_REFUSED_NOTHING)
		return nat_refuse(f, gw, why);
	if (f->dry)
		return look(f, gw, rules, source, space);
	id = rules->dependent ? map_dependent(f, gw, rules, source, space, &why)
			      : map_independent(f, gw, rules, source, space, &why);
	if (id != 0) {
		const struct nat_record *root = nat_record_of(id);
		const struct nat_address *a = nat_address_at(root->address);

		f->new_src = a->ip;
		f->new_sport = root->outside;
		why = NAT_REFUSED_RECORDS;
		id = nat_wrap(f, rules, id, &f->new_dst, f->new_dport);
	}
	if (id == 0)
		return nat_refuse(f, gw, why);
	f->hold.id[HOLD_NAT] = id;
	nat_hold_begin(id);
	flow_step(f, "nat_gateway", gw->name, (int32_t)source->rule, "source translated");
	return true;
}
