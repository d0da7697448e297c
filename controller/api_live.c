/* SPDX-License-Identifier: Apache-2.0 */
#include "api_live.h"

#include "fan_out.h"
#include "mem.h"
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NODES_MAX 8
#define ARM_MS 5000
#define TIMEOUT_MS 10000 /* longer than a node waits for it */
#define TOKEN_BYTES 16

struct probe {
	struct api_call *call;
	json_t *explanation;
	struct node *node; /* where it is */
	unsigned hops;
	const char *method;
	json_t *in, *packet; /* as the node is asked */
	json_t *after;       /* as it was seen last; northbound */
	char token[2 * TOKEN_BYTES + 1];
};

static void ask(struct probe *p);

static void on_told(struct fan_out *fan, void *arg)
{
	(void)fan;
	(void)arg;
}

/* No node needs to look for it any more; one that does not hear of it stops by itself. */
static void tell_over(const struct probe *p)
{
	struct fan_out *fan = fan_out_new(p->call->c, ARM_MS, on_told, NULL);

	NODES_FOREACH(p->call->c, node)
	{
		if (node_is_connected(node))
			fan_out_ask(fan, node, "live.end",
				mem_json(json_pack("{s:s}", "token", p->token)));
	}
	fan_out_wait(fan);
}

/* While its call is not answered yet. */
static void probe_free(struct probe *p)
{
	tell_over(p);
	json_decref(p->explanation);
	json_decref(p->in);
	json_decref(p->packet);
	json_decref(p->after);
	free(p);
}

static void fail(struct probe *p, int code, const char *why)
{
	struct api_call *call = p->call;

	probe_free(p);
	api_fail(call, code, NULL, "%s", why);
}

/* ---- Comparing ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void differ(json_t *list, const char *what, const char *said, const char *was)
{
	json_array_append_new(
		list, json_sprintf("%s: explained %s, was %s", what, said != NULL ? said : "none",
			      was != NULL ? was : "none"));
}

/* Ports of NAT gateways are drawn for the packet itself. */
static bool is_example(const json_t *explanation)
{
	json_t *steps = json_object_get(explanation, "steps"), *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		const char *decision = resource_text(step, "decision");

		if (decision != NULL && strstr(decision, "for example") != NULL)
			return true;
	}
	return false;
}

static void compare_packets(json_t *list, const json_t *said, const json_t *was, bool example)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)said, name, value) {
		json_t *seen = json_object_get(was, name);
		char *a, *b;

		if (json_equal(value, seen) ||
			(example &&
				(strcmp(name, "source") == 0 || strcmp(name, "source_port") == 0)))
			continue;
		a = json_dumps(value, JSON_ENCODE_ANY);
		b = seen != NULL ? json_dumps(seen, JSON_ENCODE_ANY) : NULL;
		differ(list, name, a, b);
		free(a);
		free(b);
	}
}

/* Answered from there: the probe comes back as an answer. */
static bool is_answer(const struct probe *p)
{
	const json_t *before = json_object_get(json_object_get(p->explanation, "packet"), "before");

	return p->after != NULL &&
	       same_text(resource_text(p->after, "source"), resource_text(before, "destination")) &&
	       same_text(resource_text(p->after, "destination"), resource_text(before, "source"));
}

static void finish(struct probe *p, const char *verdict, const char *reason, const char *to)
{
	struct api_call *call;
	json_t *e = p->explanation, *list = mem_json(json_array()),
	       *after = json_object_get(json_object_get(e, "packet"), "after");
	const char *said = resource_text(e, "delivered_to");
	bool answered = is_answer(p);

	if (answered && said != NULL) /* by a gateway, whose own the answer is */
		to = said;
	if (!same_text(resource_text(e, "verdict"), verdict))
		differ(list, "verdict", resource_text(e, "verdict"), verdict);
	if (!same_text(resource_text(e, "reason"), reason))
		differ(list, "reason", resource_text(e, "reason"), reason);
	if (!same_text(said, to))
		differ(list, "delivered_to", said, to);
	if (json_is_object(after) && p->after != NULL && !answered)
		compare_packets(list, after, p->after, is_example(e));
	json_object_set_new(e, "live",
		json_pack("{s:s, s:s?, s:s?, s:O?, s:b, s:o}", "verdict", verdict, "reason", reason,
			"delivered_to", to, "packet", p->after, "agrees",
			json_array_size(list) == 0, "differences", list));
	call = p->call;
	json_incref(e);
	probe_free(p);
	api_reply(call, e);
}

static void finish_at(struct probe *p, const char *kind, const char *name)
{
	char *where = mem_printf("%s%s%s", kind, *kind != '\0' ? " " : "", name);

	finish(p, "forward", NULL, where);
	free(where);
}

/* ---- The way ---- */

static void follow(struct probe *p, const json_t *out)
{
	const char *vtep = resource_text(out, "vtep");
	const struct object *object = explain_node_behind(p->call->c, vtep);
	struct node *next = object != NULL ? node_find(p->call->c, object->name) : NULL;

	if (next == NULL || !node_is_connected(next) || ++p->hops >= NODES_MAX) {
		finish_at(p, next == NULL ? "vtep" : "node", object != NULL ? object->name : vtep);
		return;
	}
	if (!json_is_integer(json_object_get(out, "vni"))) {
		fail(p, ERROR_UNAVAILABLE, "a node does not say which VNI the probe left with");
		return;
	}
	json_decref(p->in);
	p->in = mem_json(json_pack("{s:s, s:O}", "vtep",
		object_text(p->node->object, "vtep") != NULL ? p->node->name : "", "vni",
		json_object_get(out, "vni")));
	p->node = next;
	p->method = "live.take";
	ask(p);
}

static void on_end(struct fan_out *fan, void *arg)
{
	struct probe *p = arg;
	const json_t *answer = fan_out_result(fan, p->node->name), *out, *packet;
	const char *verdict;

	if (answer == NULL) {
		fail(p, fan_out_code(fan) != 0 ? fan_out_code(fan) : ERROR_UNAVAILABLE,
			fan_out_failed(fan));
		return;
	}
	verdict = resource_text(answer, "verdict");
	packet = json_object_get(answer, "packet");
	out = json_object_get(answer, "out");
	if (json_is_object(packet)) {
		json_decref(p->packet);
		p->packet = json_incref((json_t *)packet);
		json_decref(p->after);
		p->after = explain_shown(packet);
	}
	if (verdict == NULL || strcmp(verdict, "forward") != 0)
		finish(p, verdict != NULL ? verdict : "lost", resource_text(answer, "reason"),
			NULL);
	else if (resource_text(out, "vtep") != NULL)
		follow(p, out);
	else if (resource_text(out, "external") != NULL)
		finish_at(p, "external", resource_text(out, "external"));
	else
		finish_at(p, "", resource_text(out, "port"));
}

static json_t *question(const struct probe *p)
{
	return mem_json(json_pack("{s:s, s:b}", "token", p->token, "deliver",
		resource_boolean(p->call->params, "deliver", false)));
}

static void ask(struct probe *p)
{
	struct fan_out *fan = fan_out_new(p->call->c, TIMEOUT_MS, on_end, p);
	json_t *params = question(p);

	json_object_set(params, "in", p->in);
	json_object_set(params, "packet", p->packet);
	fan_out_ask(fan, p->node, p->method, params);
	fan_out_wait(fan);
}

/* A node that can not expect it: wherever it would come to there, somebody would get it. */
static void on_armed(struct fan_out *fan, void *arg)
{
	struct probe *p = arg;

	if (fan_out_failed(fan) != NULL) {
		fail(p, ERROR_UNAVAILABLE, fan_out_failed(fan));
		return;
	}
	/* It was not asked itself, so it may have gone meanwhile. */
	if (!node_exists(p->call->c, p->node)) {
		fail(p, ERROR_UNAVAILABLE, "the node is not there any more");
		return;
	}
	ask(p);
}

static bool make_token(struct probe *p)
{
	uint8_t bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	for (unsigned i = 0; i < TOKEN_BYTES; i++)
		snprintf(p->token + 2 * (size_t)i, 3, "%02x", bytes[i]);
	return true;
}

void api_live(
	struct api_call *call, json_t *explanation, struct node *first, json_t *in, json_t *packet)
{
	struct probe *p = mem_calloc(1, sizeof(*p));
	struct fan_out *fan;

	*p = (struct probe){.call = call,
		.explanation = explanation,
		.node = first,
		.method = "live.send",
		.in = in,
		.packet = packet};
	if (!make_token(p)) {
		fail(p, ERROR_INTERNAL, "no random numbers");
		return;
	}
	fan = fan_out_new(call->c, ARM_MS, on_armed, p);
	NODES_FOREACH(call->c, node)
	{
		if (node != first && node_is_connected(node))
			fan_out_ask(fan, node, "live.arm", question(p));
	}
	fan_out_wait(fan);
}
