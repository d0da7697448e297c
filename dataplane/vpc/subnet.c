/* SPDX-License-Identifier: Apache-2.0 */
/* Subnets by name. Control thread; workers reach them through endpoints, vNICs and routes. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "vpc/vpc_internal.h"

static void *by_name; /* tsearch tree of struct subnet, whose first member is the name */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct subnet *)a)->name, ((const struct subnet *)b)->name);
}

static struct subnet **find(const char *name)
{
	struct subnet key;

	if (strlen(name) >= sizeof(key.name))
		return NULL;
	strcpy(key.name, name);
	return tfind(&key, &by_name, compare);
}

struct subnet *subnet_by_name(const char *name)
{
	struct subnet **at = find(name);

	return at != NULL ? *at : NULL;
}

static void unlink_from_vpc(struct subnet *subnet)
{
	struct subnet **at = &subnet->vpc->subnets;

	while (*at != subnet)
		at = &(*at)->next;
	*at = subnet->next;
	vpc_dirty(subnet->vpc);
}

void subnet_put(struct subnet *subnet)
{
	struct subnet **at = find(subnet->name), *old = at != NULL ? *at : NULL;

	if (old != NULL) {
		*at = subnet; /* the tree's node stays: tsearch could run out of memory */
		unlink_from_vpc(old);
		subnet_retire(old, subnet);
	} else {
		tsearch(subnet, &by_name, compare);
	}
	subnet->next = subnet->vpc->subnets;
	subnet->vpc->subnets = subnet;
	vpc_dirty(subnet->vpc);
}

void subnet_remove(const char *name)
{
	struct subnet *old = subnet_by_name(name);

	if (old == NULL)
		return;
	tdelete(old, &by_name, compare);
	unlink_from_vpc(old);
	subnet_retire(old, NULL);
}
