/* SPDX-License-Identifier: Apache-2.0 */
/* The life of captures: how they end, and who is told. */
#include "capture.h"

#include "api.h"
#include "fan_out.h"
#include "lib/log.h"
#include "mem.h"
#include "node.h"

#include <stdlib.h>
#include <string.h>

#define STOP_TIMEOUT_MS 2000

struct captures *captures_new(void)
{
	struct captures *captures = mem_calloc(1, sizeof(*captures));

	LIST_INIT(&captures->list);
	return captures;
}

static void capture_free(struct capture *capture)
{
	LIST_REMOVE(capture, link);
	capture->c->captures->count--;
	for (size_t i = 0; i < capture->n_legs; i++) {
		free(capture->legs[i].node);
		free(capture->legs[i].sources);
	}
	free(capture->legs);
	free(capture->by);
	json_decref(capture->params);
	bytes_free(&capture->out);
	free(capture);
}

void captures_free(struct captures *captures)
{
	if (captures == NULL)
		return;
	while (!LIST_EMPTY(&captures->list))
		capture_free(LIST_FIRST(&captures->list));
	free(captures);
}

static json_t *counts_of(const struct capture *capture)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)capture->packets, "lost",
		(json_int_t)capture->lost);
}

/* All nodes have stopped, or had their time. */
static void on_stopped(struct fan_out *fan, void *arg)
{
	struct capture *capture = arg;

	(void)fan;
	capture_send(capture);
	if (capture->conn != NULL && capture->started)
		jsonrpc_conn_notify(capture->conn, "capture.end",
			json_pack("{s:I, s:s, s:I, s:I}", "capture", capture->id, "reason",
				capture->reason, "packets", (json_int_t)capture->packets, "lost",
				(json_int_t)capture->lost));
	if (capture->stopper != NULL)
		api_reply(capture->stopper, counts_of(capture));
	capture_free(capture);
}

void capture_finish(struct capture *capture, const char *reason)
{
	struct fan_out *fan;

	if (capture->finishing || capture->starter != NULL)
		return;
	capture->finishing = true;
	capture->reason = reason;
	fan = fan_out_new(capture->c, STOP_TIMEOUT_MS, on_stopped, capture);
	for (size_t i = 0; i < capture->n_legs; i++) {
		struct node *node = node_find(capture->c, capture->legs[i].node);

		if (!capture->legs[i].over && node != NULL && node_is_connected(node))
			fan_out_ask(fan, node, "capture.stop",
				json_pack("{s:I}", "capture", capture->id));
	}
	fan_out_wait(fan);
}

static struct capture_leg *leg_of(struct capture *capture, const struct node *node)
{
	for (size_t i = 0; i < capture->n_legs; i++)
		if (strcmp(capture->legs[i].node, node->name) == 0)
			return &capture->legs[i];
	return NULL;
}

void capture_look(struct capture *capture)
{
	size_t over = 0;

	for (size_t i = 0; i < capture->n_legs; i++)
		over += capture->legs[i].over;
	if (capture->conn == NULL)
		capture_finish(capture, "its client is gone");
	else if (capture->limit != 0 && capture->packets >= capture->limit)
		capture_finish(capture, "count");
	else if (over == capture->n_legs)
		capture_finish(capture, "its nodes are away");
}

static void leg_over(struct capture *capture, struct capture_leg *leg)
{
	leg->over = true;
	capture_look(capture);
}

static void data_heard(struct capture *capture, struct capture_leg *leg, const json_t *params)
{
	const json_t *data = json_object_get(params, "data");
	struct bytes blocks = {0};
	bool good = json_is_string(data) &&
		    base64_append(&blocks, json_string_value(data), json_string_length(data)) &&
		    capture_merge(capture, leg, &blocks);

	bytes_free(&blocks);
	if (!good) {
		log_warn("a node sends packets that can not be read", LOG_STR("node", leg->node));
		leg_over(capture, leg);
		return;
	}
	capture_send(capture);
	capture_look(capture);
}

static struct capture *capture_by_id(struct controller *c, json_int_t id)
{
	struct capture *capture;

	LIST_FOREACH (capture, &c->captures->list, link)
		if (capture->id == id)
			return capture;
	return NULL;
}

void capture_heard(struct node *node, const char *method, const json_t *params)
{
	struct capture *capture = capture_by_id(node->c, resource_integer(params, "capture", 0));
	struct capture_leg *leg = capture != NULL ? leg_of(capture, node) : NULL;

	if (leg == NULL || leg->over)
		return;
	if (strcmp(method, "capture.data") == 0)
		data_heard(capture, leg, params);
	else if (strcmp(method, "capture.end") == 0)
		leg_over(capture, leg);
}

void capture_node_gone(struct node *node)
{
	struct capture *capture, *next;

	for (capture = LIST_FIRST(&node->c->captures->list); capture != NULL; capture = next) {
		struct capture_leg *leg = leg_of(capture, node);

		next = LIST_NEXT(capture, link);
		if (leg != NULL && !leg->over)
			leg_over(capture, leg);
	}
}

void capture_client_gone(struct controller *c, struct jsonrpc_conn *conn)
{
	struct capture *capture, *next;

	for (capture = LIST_FIRST(&c->captures->list); capture != NULL; capture = next) {
		next = LIST_NEXT(capture, link);
		if (capture->conn != conn)
			continue;
		capture->conn = NULL;
		capture_look(capture);
	}
}

/* ---- capture.stop, capture.list ---- */

void api_capture_stop(struct api_call *call)
{
	json_int_t id = resource_integer(call->params, "capture", 0);
	struct capture *capture = capture_by_id(call->c, id);

	if (capture == NULL || capture->starter != NULL || capture->stopper != NULL) {
		struct txn_error error = {0};

		resource_fail_code(&error.base, ERROR_NOT_FOUND, "/capture",
			"there is no capture %" JSON_INTEGER_FORMAT, id);
		api_fail_error(call, &error);
		return;
	}
	capture->stopper = call;
	capture_finish(capture, "stopped");
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *shown(const struct capture *capture)
{
	static const char *const scopes[] = {"port", "vpc", "node"};
	const char *what = "drops", *name = NULL;
	char since[TIME_TEXT];
	json_t *nodes = mem_json(json_array());

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		if (json_object_get(capture->params, scopes[i]) == NULL)
			continue;
		name = resource_text(capture->params, scopes[i]);
		what = scopes[i];
	}
	for (size_t i = 0; i < capture->n_legs; i++)
		json_array_append_new(nodes, json_string(capture->legs[i].node));
	return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "capture", capture->id,
		"by", capture->by, "since", time_text_format(capture->since_ms, since), "what",
		what, "name", text_or_null(name), "filter",
		text_or_null(resource_text(capture->params, "filter")), "nodes", nodes, "packets",
		(json_int_t)capture->packets, "lost", (json_int_t)capture->lost);
}

void api_capture_list(struct api_call *call)
{
	json_t *items = mem_json(json_array());
	const struct capture *capture;

	LIST_FOREACH (capture, &call->c->captures->list, link)
		if (capture->started)
			json_array_insert_new(items, 0, shown(capture));
	api_reply(call, json_pack("{s:o}", "items", items));
}
