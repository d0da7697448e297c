/* SPDX-License-Identifier: Apache-2.0 */
/* The networks there are, by name and by index. */
#include "external/external.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/worker.h"
#include "external/external_internal.h"

static struct external *_Atomic networks[EXTERNALS_MAX];
static uint32_t n_networks;

struct external *external_at(uint32_t index)
{
	return index < EXTERNALS_MAX ? rcu_ptr_get(networks[index]) : NULL;
}

struct external *external_find(const char *name, bool v6)
{
	struct external *ext;

	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		if (external_has(ext, v6) && (*name == '\0' || strcmp(ext->name, name) == 0))
			return ext;
	return NULL;
}

struct external *external_of_port(const struct port *port)
{
	struct external *ext;

	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		if (ext->port == port)
			return ext;
	return NULL;
}

static bool exists(const char *name)
{
	for (uint32_t i = 0; i < n_networks; i++)
		if (strcmp(networks[i]->name, name) == 0)
			return true;
	return false;
}

/* A scope, two slots and the hops. 0 or -errno. */
static int furnish(struct external *ext)
{
	ext->scope = vpc_scope_new(ext->name);
	if (ext->scope == NULL)
		return -errno;
	ext->way[0] = epoch_take();
	ext->way[1] = epoch_take();
	ext->hops = external_hops_new(ext);
	return ext->way[1] == EPOCH_NO_SLOT ? -ENOSPC : ext->hops == NULL ? -ENOMEM : 0;
}

struct external *external_new(const char *name, struct port *port, const struct external_family *v4,
	const struct external_family *v6)
{
	struct external *ext;
	int err;

	errno = exists(name) ? EEXIST : n_networks == EXTERNALS_MAX ? ENOSPC : ENOMEM;
	if (errno != ENOMEM || (ext = calloc(1, sizeof(*ext))) == NULL)
		return NULL;
	snprintf(ext->name, sizeof(ext->name), "%s", name);
	ext->index = n_networks;
	ext->port = port;
	if (v4 != NULL)
		ext->v4 = *v4;
	if (v6 != NULL)
		ext->v6 = *v6;
	err = furnish(ext); /* what fails at the start ends the process */
	if (err != 0) {
		errno = -err;
		return NULL;
	}
	ext->scope->external = ext;
	vpc_scope_put(ext->scope);
	vpc_settle();
	port->vpc_index = ext->scope->index;
	port->shared_device = true; /* many machines are behind it */
	external_port_changed(ext);
	rcu_ptr_set(networks[n_networks], ext);
	n_networks++;
	return ext;
}

void external_port_changed(struct external *ext)
{
	struct port *port = ext->port;

	port->gw_mac = port->mac;
	ext->scope->gw_mac = port->mac;
	ext->scope->mtu = port->mtu;
	external_hops_set_mac(ext, &port->mac);
	epoch_bump(ext->scope->epoch);
}
