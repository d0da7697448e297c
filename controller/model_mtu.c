/* SPDX-License-Identifier: Apache-2.0 */
#include "model_mtu.h"

#include "commit.h"
#include "controller.h"
#include "lib/resource.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

/* Outer IP, UDP and VXLAN headers and the inner Ethernet header. */
#define OVERHEAD_IPV4 50
#define OVERHEAD_IPV6 70

#define FACT "underlay"

static json_t *facts(struct controller *c)
{
	char *text = store_get(c->store, FACT);
	json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return all != NULL ? all : mem_json(json_object());
}

static void use(struct controller *c, const json_t *all)
{
	const char *node;
	json_t *room;

	c->model.underlay_mtu = 0;
	json_object_foreach ((json_t *)all, node, room) {
		unsigned mtu = (unsigned)json_integer_value(room);

		if (model_get(&c->model, "node", node) != NULL &&
			(c->model.underlay_mtu == 0 || mtu < c->model.underlay_mtu))
			c->model.underlay_mtu = mtu;
	}
}

void model_mtu_restore(struct controller *c)
{
	json_t *all = facts(c);

	use(c, all);
	json_decref(all);
}

void model_mtu_learn(struct controller *c, const char *node, const json_t *hello)
{
	const json_t *underlay = json_object_get(hello, "underlay");
	json_int_t mtu = resource_integer(underlay, "mtu", 0);
	bool ipv6 = resource_integer(underlay, "family", 4) == 6;
	json_t *all = facts(c), *known = json_object_get(all, node);
	char *text;

	mtu -= ipv6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;
	if (mtu > 0 && json_integer_value(known) != mtu) {
		json_object_set_new(all, node, json_integer(mtu));
		text = json_dumps(all, JSON_COMPACT);
		store_set(c->store, FACT, text);
		free(text);
		commit_soon(c);
	}
	use(c, all);
	json_decref(all);
}
