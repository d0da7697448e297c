/* SPDX-License-Identifier: Apache-2.0 */
/* Inside addresses and their vNICs: who they are, which outside address they have. */
#include "nat/nat_binding.h"
#include "session/session.h"

uint64_t nat_random(void)
{
	static __thread uint64_t n;

	n++;
	return session_mix(
		n * 0x9e3779b97f4a7c15 ^ session_seed[0], session_seed[1] ^ (uintptr_t)&n);
}

uint64_t nat_random_of(const struct flow *f)
{
	uint64_t addresses =
		session_mix(f->src.q[1] ^ session_seed[1], f->dst.q[1] ^ session_seed[2]);

	return session_mix(addresses ^ session_mix(f->src.q[0] ^ session_seed[3],
					       f->dst.q[0] ^ session_seed[0]),
		((uint64_t)f->sport << 32 | (uint64_t)f->dport << 16 | f->proto) ^ session_seed[3]);
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
uint32_t nat_record_found_or_made(const struct nat_record *key, bool *made)
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
uint32_t nat_choose_address(const struct nat_rules *rules, const struct nat_source *source, bool v6,
	enum nat_space space)
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
uint32_t nat_host_of(const struct flow *f, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space)
{
	struct nat_record key = nat_host_key(f, gw), owner = owner_key(f, gw);
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
	address = nat_choose_address(rules, source, f->out_v6, space);
	a = nat_address_at(address);
	id = a != NULL ? nat_hold_new(NAT_HOST, gw->id) : 0;
	if (id == 0)
		return 0;
	r = nat_record_of(id);
	r->space = key.space;
	r->addr = key.addr;
	r->address = address;
	r->parent = nat_record_found_or_made(&owner, &made);
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

uint32_t nat_owner_sessions(const struct flow *f, const struct nat_gateway *gw)
{
	struct nat_record key = owner_key(f, gw);
	const struct nat_record *owner = nat_table_look(&key);

	return owner != NULL ? atomic_load_explicit(&owner->sessions, memory_order_relaxed) : 0;
}
