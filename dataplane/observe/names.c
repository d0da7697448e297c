/* SPDX-License-Identifier: Apache-2.0 */
/* What ports and VPCs are called, for threads that must not look at the objects themselves. Kept by the control thread while somebody
 * looks at ports. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "observe/observe_internal.h"
#include "vpc/vpc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char (*names)[PORT_NAME_MAX]; /* [n_names], by index */
static uint32_t n_names;
static _Atomic uint32_t vnis[VPC_INDEX_MAX];

static void keep(const struct port *port)
{
	const struct vpc *vpc = vpc_get(port->vpc_index);

	if (vpc != NULL)
		atomic_store_explicit(&vnis[vpc->index], vpc->vni, memory_order_relaxed);
	if (strcmp(names[port->index], port->name) == 0)
		return;
	pthread_mutex_lock(&lock);
	memcpy(names[port->index], port->name, PORT_NAME_MAX);
	pthread_mutex_unlock(&lock);
}

void names_refresh(void)
{
	if (names == NULL) {
		pthread_mutex_lock(&lock);
		names = calloc(port_table.capacity, sizeof(*names));
		n_names = names != NULL ? port_table.capacity : 0;
		pthread_mutex_unlock(&lock);
	}
	if (names == NULL)
		return;
	for (const struct port *port = port_next(NULL); port != NULL;
		port = port_next((struct port *)(uintptr_t)port))
		keep(port);
}

void observe_port_name(loc_t port, char name[PORT_NAME_MAX])
{
	name[0] = '\0';
	pthread_mutex_lock(&lock);
	if (loc_is_port(port) && loc_index(port) < n_names)
		memcpy(name, names[loc_index(port)], PORT_NAME_MAX);
	pthread_mutex_unlock(&lock);
}

uint32_t observe_vpc_vni(uint32_t vpc_index)
{
	return vpc_index < VPC_INDEX_MAX
		       ? atomic_load_explicit(&vnis[vpc_index], memory_order_relaxed)
		       : 0;
}
