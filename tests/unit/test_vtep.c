/* SPDX-License-Identifier: Apache-2.0 */
/* underlay/vtep_table and vtep_state: VTEPs by index, address and name, through items. Next-hop resolution is the test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/ip_text.h"
#include "core/epoch.h"
#include "core/rcu.h"
#include "core/state.h"
#include "core/worker.h"
#include "underlay/next_hop.h"
#include "underlay/vtep_table.h"

/* --- what surrounds the module --- */

static struct port port = {.mac = {{2, 0, 0, 0, 0, 1}}};
static struct ip_addr own = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 1}};
static unsigned int n_known; /* VTEPs that the resolver was told of and not told to forget */
static bool resolve;         /* it knows each next hop at once */

struct port *underlay_port(void)
{
	return &port;
}

const struct ip_addr *underlay_address(bool v6)
{
	return v6 ? NULL : &own;
}

uint32_t clock_ms(void)
{
	return 0;
}

void next_hop_vtep_added(struct vtep *v, uint32_t now_ms)
{
	static const struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 2}};

	(void)now_ms;
	n_known++;
	if (resolve)
		vtep_set_next_hop(v, &mac);
}

void next_hop_vtep_removed(struct vtep *v)
{
	(void)v;
	n_known--;
}

/* --- helpers --- */

static uint64_t revision;

/* Puts and deletes, as JSON texts; 0 or -errno. */
static int apply(const char *puts, const char *dels)
{
	struct state_tx *tx = state_begin();
	json_t *put = json_loads(puts, 0, NULL), *del = json_loads(dels, 0, NULL), *each;
	struct state_error err = {.reason = ""};
	uint32_t changed;
	size_t i;
	int rc = 0;

	assert_non_null(put);
	assert_non_null(del);
	json_array_foreach (put, i, each)
		if (rc == 0)
			rc = state_put(tx, each, &err);
	json_array_foreach (del, i, each)
		if (rc == 0)
			rc = state_del(tx, each, &err);
	if (rc == 0)
		rc = state_commit(tx, ++revision, &changed, &err);
	else
		state_abort(tx);
	json_decref(err.item);
	json_decref(put);
	json_decref(del);
	return rc;
}

static struct vtep *at(const char *address)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(address, &a));
	return vtep_by_addr(&a);
}

static int set_up(void **state)
{
	(void)state;
	resolve = true;
	return 0;
}

static void found_by_everything(void **state)
{
	struct vtep *v;

	(void)state;
	assert_null(at("192.0.2.2"));
	assert_int_equal(apply("[[\"vtep\", \"b\", \"192.0.2.2\", false], [\"vtep\", \"c\", "
			       "\"2001:db8::3\", true]]",
				 "[]"),
		0);
	v = at("192.0.2.2");
	assert_non_null(v);
	assert_ptr_equal(v, vtep_by_name("b"));
	assert_ptr_equal(v, vtep_get(v->index));
	assert_false(v->gateway);
	assert_true(at("2001:db8::3")->gateway);
	assert_null(vtep_by_name("d"));
	assert_null(vtep_get(UINT32_MAX));
	/* Ready, but not where we have no address of its family. */
	assert_true(vtep_is_ready(v));
	assert_false(vtep_is_ready(at("2001:db8::3")));
	assert_memory_equal(rcu_ptr_get(v->outer)->bytes + 30, "\xc0\0\2\2", 4);

	assert_int_equal(apply("[]", "[[\"vtep\", \"b\"], [\"vtep\", \"c\"]]"), 0);
	assert_null(at("192.0.2.2"));
	assert_null(vtep_by_name("b"));
	assert_null(vtep_next(NULL));
	assert_int_equal(n_known, 0);
}

/* Endpoints and sessions keep its index, so it stays with the name. */
static void changed_in_place(void **state)
{
	uint32_t index, before;
	epoch_slot_t slot;

	(void)state;
	assert_int_equal(apply("[[\"vtep\", \"b\", \"192.0.2.2\", false]]", "[]"), 0);
	index = vtep_by_name("b")->index;
	slot = vtep_by_name("b")->epoch;
	before = epoch_value(slot);
	assert_int_equal(apply("[[\"vtep\", \"b\", \"192.0.2.9\", false]]", "[]"), 0);
	assert_null(at("192.0.2.2"));
	assert_int_equal(at("192.0.2.9")->index, index);
	assert_true(vtep_is_ready(vtep_get(index)));
	assert_int_equal(epoch_value(slot), before); /* its flows are as legal as before */
	assert_int_equal(apply("[[\"vtep\", \"b\", \"192.0.2.9\", true]]", "[]"), 0);
	assert_true(vtep_get(index)->gateway);
	assert_int_not_equal(epoch_value(slot), before);
	/* Two that exchange their addresses. */
	assert_int_equal(apply("[[\"vtep\", \"c\", \"192.0.2.2\", false]]", "[]"), 0);
	assert_int_equal(apply("[[\"vtep\", \"c\", \"192.0.2.9\", false], [\"vtep\", \"b\", "
			       "\"192.0.2.2\", false]]",
				 "[]"),
		0);
	assert_ptr_equal(at("192.0.2.9"), vtep_by_name("c"));
	assert_ptr_equal(at("192.0.2.2"), vtep_by_name("b"));
	assert_int_equal(n_known, 2);
	assert_int_equal(apply("[]", "[[\"vtep\", \"b\"], [\"vtep\", \"c\"]]"), 0);
}

static void refused(void **state)
{
	char item[256];

	(void)state;
	assert_int_equal(apply("[[\"vtep\", \"b\", \"192.0.2\", false]]", "[]"), -EINVAL);
	snprintf(item, sizeof(item),
		"[[\"vtep\", \"ok\", \"192.0.2.5\", false], [\"vtep\", \"%080d\", \"192.0.2.2\", "
		"false]]",
		0);
	assert_int_equal(apply(item, "[]"), -EINVAL);
	assert_null(at("192.0.2.5"));
	assert_int_equal(n_known, 0);
}

/* As many as there may be, in and out, and in again; the next one is refused. */
static void full(void **state)
{
	const unsigned int n = 65536, step = 4096;
	char *text = malloc(step * 64);

	(void)state;
	resolve = false;
	for (unsigned int first = 0; first < n; first += step) {
		size_t used = (size_t)sprintf(text, "[");

		for (unsigned int i = first; i < first + step; i++)
			used += (size_t)sprintf(text + used,
				"%s[\"vtep\", \"n%u\", \"10.%u.%u.1\", false]",
				i == first ? "" : ",", i, i >> 8, i & 255);
		sprintf(text + used, "]");
		assert_int_equal(apply(text, "[]"), 0);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct ip_addr a = ip_addr_from_v4(rte_cpu_to_be_32(10u << 24 | i << 8 | 1));
		const struct vtep *v = vtep_by_addr(&a);

		assert_non_null(v);
		assert_ptr_equal(v, vtep_get(v->index));
	}
	assert_int_equal(apply("[[\"vtep\", \"more\", \"192.0.2.2\", false]]", "[]"), -ENOSPC);
	assert_int_equal(apply("[]", "[[\"vtep\", \"n7\"]]"), 0);
	assert_int_equal(apply("[[\"vtep\", \"more\", \"192.0.2.2\", false]]", "[]"), 0);
	assert_non_null(at("192.0.2.2"));
	assert_null(at("10.0.7.1"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(found_by_everything, set_up),
		cmocka_unit_test_setup(changed_in_place, set_up),
		cmocka_unit_test_setup(refused, set_up),
		cmocka_unit_test_setup(full, set_up),
	};

	assert_return_code(epoch_init(70000), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
