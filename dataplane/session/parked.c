/* SPDX-License-Identifier: Apache-2.0 */
#include "session/parked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/queue.h>

#include "port/port.h"
#include "vpc/vpc.h"

struct port_marks parked_marks;

struct parked {
	LIST_ENTRY(parked) link;
	char name[PORT_NAME_MAX];
	loc_t where;
	uint32_t vpc_index;
	uint32_t until_ms;
	/* A session between two ports of this node leads into a tunnel once one of them has left: known by its addresses. */
	uint32_t n_prefixes;
	struct ip_prefix prefixes[];
};

static LIST_HEAD(, parked) list;

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
	return p;
}

struct parked *parked_find(const char *port)
{
	struct parked *p;

	LIST_FOREACH (p, &list, link)
		if (strcmp(p->name, port) == 0)
			return p;
	return NULL;
}

int parked_add(const char *name, uint32_t now_ms)
{
	const struct port *port = port_by_name(name);
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;
	struct parked *p = parked_find(name);

	if (vnic == NULL)
		return -ENOENT;
	if (p != NULL)
		parked_remove(p); /* it may be another port of that name by now */
	p = parked_new(port, vnic);
	if (p == NULL)
		return -ENOMEM;
	parked_keep(p, now_ms);
	LIST_INSERT_HEAD(&list, p, link);
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

void parked_remove(struct parked *p)
{
	port_marks_clear(&parked_marks, p->where);
	LIST_REMOVE(p, link);
	free(p);
}

void parked_turn(uint32_t now_ms)
{
	struct parked *p, *next;

	for (p = LIST_FIRST(&list); p != NULL; p = next) {
		const struct port *port = port_get(loc_index(p->where));

		next = LIST_NEXT(p, link);
		if ((int32_t)(now_ms - p->until_ms) >= 0 || (port != NULL && !is_port(p, port)))
			parked_remove(p);
	}
}
