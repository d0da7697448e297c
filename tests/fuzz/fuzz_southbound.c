/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that somebody sends to the dataplane's socket, against the real tables and the real graph. $1, $2 … stand for the
 * transactions that the text begins, which are numbered over the life of the process.
 *
 * Whatever it is: answers are well formed; what no commit has confirmed changes nothing; what is applied and its digests
 * agree; the counters balance; and all of it can be deleted again.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rpc.h"
#include "core/state.h"
#include "lib/log.h"
#include "lib/southbound.h"
#include "port/port.h"
#include "rpc_text.h"
#include "tests/node/graph.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Linked with --wrap: a mutated item must not open devices, sockets and interfaces of the machine we run on. */
int __real_port_open(struct port *port, const struct port_spec *spec);
int __wrap_port_open(struct port *port, const struct port_spec *spec);

int __wrap_port_open(struct port *port, const struct port_spec *spec)
{
	if (strcmp(spec->type, "stub") == 0)
		return __real_port_open(port, spec);
	return port_fail(port, -1, "not in here");
}

/* What is applied. */
struct picture {
	uint64_t revision;
	uint32_t count;
	uint64_t digest[SB_BUCKETS];
};

static void take_picture(struct picture *p)
{
	p->revision = state_revision();
	p->count = state_count();
	for (unsigned int i = 0; i < SB_BUCKETS; i++)
		p->digest[i] = state_digest(i);
}

static bool is_same(const struct picture *a, const struct picture *b)
{
	return a->revision == b->revision && a->count == b->count &&
	       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* The digests are those of the items. */
static void check_digests(const struct picture *p)
{
	uint64_t digest[SB_BUCKETS] = {0};
	json_t *buckets = json_array(), *answer, *key;
	size_t i;

	for (int b = 0; b < SB_BUCKETS; b++)
		json_array_append_new(buckets, json_integer(b));
	answer = graph_rpc("state.keys", json_pack("{s:o}", "buckets", buckets));
	if (json_array_size(json_object_get(answer, "items")) != p->count)
		rpc_text_die("keys are not as many as items", answer);
	json_array_foreach (json_object_get(answer, "items"), i, key) {
		size_t last = json_array_size(key) - 1;
		char text[SB_KEY_MAX];
		uint64_t hash = strtoull(json_string_value(json_array_get(key, last)), NULL, 16);

		json_array_remove(key, last);
		if (sb_item_key_write(key, text, sizeof(text)) == 0)
			rpc_text_die("no key", key);
		digest[sb_bucket(text)] ^= hash;
	}
	if (memcmp(digest, p->digest, sizeof(digest)) != 0)
		rpc_text_die("digests are not those of the items", answer);
	json_decref(answer);
}

static json_int_t last_transaction(void)
{
	json_t *begun = graph_rpc("state.begin", json_object());
	json_int_t id = json_integer_value(json_object_get(begun, "transaction"));

	json_decref(graph_rpc("state.abort", begun));
	return id;
}

/* With the numbers of transactions in place; malloc()ed. */
static char *spell_out(const uint8_t *data, size_t size, size_t *len)
{
	json_int_t last = last_transaction();
	char *text = malloc(size * 20 + 1);
	size_t n = 0;

	if (text == NULL)
		abort();
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '$' && i + 1 < size && data[i + 1] >= '1' && data[i + 1] <= '9')
			n += (size_t)sprintf(
				text + n, "%" JSON_INTEGER_FORMAT, last + (data[++i] - '0'));
		else
			text[n++] = (char)data[i];
	}
	*len = n;
	return text;
}

/* The answer to a commit. */
static bool has_commit(const json_t *messages)
{
	size_t i;
	json_t *m;

	json_array_foreach ((json_t *)messages, i, m) {
		if (json_is_array(m) && has_commit(m))
			return true;
		if (json_object_get(json_object_get(m, "result"), "changed") != NULL)
			return true;
	}
	return false;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	graph_start();
	json_decref(graph_rpc("hello", json_pack("{s:i}", "api_version", 1)));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct picture before, after;
	json_t *messages;
	size_t len;
	char *text;

	text = spell_out(data, size, &len);
	take_picture(&before);
	messages = rpc_text_play(rpc_server(), rpc_base(), text, len);
	graph_run();
	take_picture(&after);
	/* A notification commits without an answer. */
	if (!has_commit(messages) && rpc_text_is_requests(text, len) && !is_same(&before, &after))
		rpc_text_die("a change that nobody confirmed", messages);
	check_digests(&after);
	graph_check_conservation();
	json_decref(messages);
	free(text);
	if (after.count > 0)
		graph_reset();
	return 0;
}
