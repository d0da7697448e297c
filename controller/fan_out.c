/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_out.h"

#include "controller.h"
#include "mem.h"
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct fan_out {
	unsigned timeout_ms;
	fan_out_fn done;
	void *arg;
	json_t *results; /* by node */
	unsigned pending;
	int code;
	char failed[256];
};

struct question {
	struct fan_out *fan;
	char *node, *key;
};

struct fan_out *fan_out_new(struct controller *c, unsigned timeout_ms, fan_out_fn done, void *arg)
{
	struct fan_out *fan = mem_calloc(1, sizeof(*fan));

	(void)c;
	*fan = (struct fan_out){.timeout_ms = timeout_ms,
		.done = done,
		.arg = arg,
		.results = mem_json(json_object()),
		.pending = 1};
	return fan;
}

void fan_out_wait(struct fan_out *fan)
{
	if (--fan->pending > 0)
		return;
	fan->done(fan, fan->arg);
	json_decref(fan->results);
	free(fan);
}

static void question_free(struct question *q)
{
	free(q->node);
	free(q->key);
	free(q);
}

static void on_answer(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct question *q = arg;
	struct fan_out *fan = q->fan;

	if (outcome->status == 0) {
		json_object_set(fan->results, q->key, outcome->result);
	} else {
		snprintf(fan->failed, sizeof(fan->failed), "node `%s`: %s", q->node,
			outcome->message);
		fan->code = outcome->status == -EREMOTEIO ? outcome->code : 0;
	}
	question_free(q);
	fan_out_wait(fan);
}

void fan_out_ask_as(
	struct fan_out *fan, struct node *node, const char *key, const char *method, json_t *params)
{
	struct question *q = mem_calloc(1, sizeof(*q));

	*q = (struct question){.fan = fan, .node = mem_strdup(node->name), .key = mem_strdup(key)};
	if (jsonrpc_client_call(node->client, method, params, fan->timeout_ms, on_answer, q) != 0) {
		fan->pending++;
		return;
	}
	snprintf(fan->failed, sizeof(fan->failed), "node `%s`: not connected", node->name);
	question_free(q);
}

void fan_out_ask(struct fan_out *fan, struct node *node, const char *method, json_t *params)
{
	fan_out_ask_as(fan, node, node->name, method, params);
}

const json_t *fan_out_result(const struct fan_out *fan, const char *key)
{
	return json_object_get(fan->results, key);
}

const char *fan_out_failed(const struct fan_out *fan)
{
	return fan->failed[0] != '\0' ? fan->failed : NULL;
}

int fan_out_code(const struct fan_out *fan)
{
	return fan->code;
}
