/* SPDX-License-Identifier: Apache-2.0 */
#include "session/parked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "port/port.h"
#include "vpc/vpc.h"

struct port_marks parked_marks;

struct parked_address {
	struct hash_node node;
	struct parked *parked;
	struct ip_addr addr;
};

static LIST_HEAD(, parked) list;
static struct parked *by_port[PORT_MARKS_MAX];
/* In use while there are any. */
static struct hash_table by_name, by_address;
static uint32_t n_wide;

static uint32_t address_hash(uint32_t vpc_index, const struct ip_addr *addr)
{
	return hash_fold(hash_mix(hash_mix(hash_mix(0, vpc_index), addr->q[0]), addr->q[1]));
}

static int list_addresses(struct parked *p)
{
	if ((by_address.buckets == NULL && hash_table_init(&by_address) != 0) ||
		(by_name.buckets == NULL && hash_table_init(&by_name) != 0))
		return -ENOMEM;
	p->addresses = calloc(p->n_prefixes, sizeof(*p->addresses));
	if (p->addresses == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_prefixes; i++) {
		const struct ip_prefix *prefix = &p->prefixes[i];
		struct parked_address *a = &p->addresses[p->n_addresses];

		if (prefix->len != 128) {
			p->wide = true;
			continue;
		}
		*a = (struct parked_address){.parked = p, .addr = prefix->addr};
		hash_table_insert(&by_address, &a->node, address_hash(p->vpc_index, &prefix->addr));
		p->n_addresses++;
	}
	n_wide += p->wide;
	return 0;
}

static struct parked *parked_new(const struct port *port, const struct vnic *vnic)
{
	uint32_t n = vnic->n_addrs + vnic->n_allowed;
	struct parked *p = calloc(1, sizeof(*p) + n * sizeof(p->prefixes[0]));

	if (p == NULL)
		return NULL;
	memcpy(p->name, port->name, sizeof(p->name));
	p->where = loc_port(port->index);
	p->vpc_index = vnic->vpc->index;
	for (uint32_t i = 0; i < vnic->n_addrs; i++)
		p->prefixes[i] = (struct ip_prefix){.addr = vnic->addrs[i], .len = 128};
	for (uint32_t i = 0; i < vnic->n_allowed; i++)
		p->prefixes[vnic->n_addrs + i] = vnic->allowed[i];
	p->n_prefixes = n;
	if (list_addresses(p) == 0)
		return p;
	free(p);
	return NULL;
}

struct parked *parked_next(const struct parked *previous)
{
	return previous == NULL ? LIST_FIRST(&list) : LIST_NEXT(previous, link);
}

static uint32_t name_hash(const char *name)
{
	uint64_t h = 0;

	for (; *name != '\0'; name++)
		h = hash_mix(h, (uint8_t)*name);
	return hash_fold(h);
}

struct parked *parked_find(const char *port)
{
	struct hash_node *node = by_name.n > 0 ? hash_table_find(&by_name, name_hash(port)) : NULL;

	for (; node != NULL; node = hash_node_same(node)) {
		struct parked *p = HASH_OBJECT(node, struct parked, by_name);

		if (strcmp(p->name, port) == 0)
			return p;
	}
	return NULL;
}

int parked_add(const char *name, uint32_t now_ms)
{
	const struct port *port = port_by_name(name);
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;
	struct parked *p = parked_find(name);

	if (vnic == NULL || loc_port(port->index) >= PORT_MARKS_MAX)
		return -ENOENT;
	if (p != NULL)
		parked_remove(p); /* it may be another port of that name by now */
	p = parked_new(port, vnic);
	if (p == NULL)
		return -ENOMEM;
	parked_keep(p, now_ms);
	LIST_INSERT_HEAD(&list, p, link);
	hash_table_insert(&by_name, &p->by_name, name_hash(p->name));
	by_port[p->where] = p;
	port_marks_set(&parked_marks, p->where);
	return 0;
}

static bool is_port(const struct parked *p, const struct port *port)
{
	return port != NULL && strcmp(port->name, p->name) == 0;
}

bool parked_has_left(const struct parked *p)
{
	return !is_port(p, port_get(loc_index(p->where)));
}

void parked_keep(struct parked *p, uint32_t now_ms)
{
	p->until_ms = now_ms + PARKED_MS;
}

static bool owns(const struct parked *p, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < p->n_prefixes; i++)
		if (ip_prefix_contains(&p->prefixes[i], addr))
			return true;
	return false;
}

static struct ip_addr source_of(uint32_t ref)
{
	return session_key_is_v6(&session_dir_of(ref)->key)
		       ? session_exts[ref >> 1].src[ref & 1]
		       : ip_addr_from_v4(session_dir_of(ref)->key.src);
}

bool parked_matches(const struct parked *p, uint32_t index, bool *initiator)
{
	const struct session_dir *d = session_dir_of(index << 1);

	if (d[0].in == p->where || d[0].out == p->where) {
		*initiator = d[0].in == p->where;
		return true;
	}
	/* Who sends in a direction is the source of its key. */
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct ip_addr source = source_of(index << 1 | dir);

		*initiator = dir == 0;
		if (session_key_vpc(&d[dir].key) == p->vpc_index && owns(p, &source))
			return true;
	}
	return false;
}

static void each_of_address(
	uint32_t ref, void (*fn)(struct parked *parked, uint32_t index, void *arg), void *arg)
{
	uint32_t vpc_index = session_key_vpc(&session_dir_of(ref)->key);
	struct ip_addr source = source_of(ref);
	struct hash_node *node = hash_table_find(&by_address, address_hash(vpc_index, &source));
	struct parked *p;

	for (; node != NULL; node = hash_node_same(node))
		fn(HASH_OBJECT(node, struct parked_address, node)->parked, ref >> 1, arg);
	if (n_wide == 0)
		return;
	LIST_FOREACH (p, &list, link)
		if (p->wide)
			fn(p, ref >> 1, arg);
}

void parked_each_of(
	uint32_t index, void (*fn)(struct parked *parked, uint32_t index, void *arg), void *arg)
{
	const struct session_dir *d = session_dir_of(index << 1);
	const loc_t ends[2] = {d->in, d->out};

	for (unsigned int end = 0; end < 2; end++) {
		if (ends[end] < PORT_MARKS_MAX && by_port[ends[end]] != NULL)
			fn(by_port[ends[end]], index, arg);
		each_of_address(index << 1 | end, fn, arg);
	}
}

void parked_remove(struct parked *p)
{
	port_marks_clear(&parked_marks, p->where);
	by_port[p->where] = NULL;
	LIST_REMOVE(p, link);
	hash_table_remove(&by_name, &p->by_name);
	for (uint32_t i = 0; i < p->n_addresses; i++)
		hash_table_remove(&by_address, &p->addresses[i].node);
	if (LIST_EMPTY(&list)) {
		hash_table_fini(&by_address);
		hash_table_fini(&by_name);
	}
	n_wide -= p->wide;
	for (unsigned int pass = 0; pass < PARKED_PASSES; pass++)
		free(p->found[pass].indexes);
	free(p->addresses);
	free(p);
}

void parked_turn(uint32_t now_ms)
{
	struct parked *p, *next;

	for (p = LIST_FIRST(&list); p != NULL; p = next) {
		const struct port *port = port_get(loc_index(p->where));

		next = LIST_NEXT(p, link);
		if (p->state == PARKED_LOOKING) /* not for long */
			continue;
		if ((int32_t)(now_ms - p->until_ms) >= 0 || (port != NULL && !is_port(p, port)))
			parked_remove(p);
	}
}
