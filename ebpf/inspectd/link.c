/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc_client.h"
#include "lib/log.h"

#define RETRY_MS 500
#define CALL_MS 10000
/* A dataplane that knows no inspection, or fails, is asked again. */
#define ASK_AGAIN_S 10

static void ask(struct link *link);

static void later(struct link *link, unsigned ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(link->retry, &wait);
}

static void answered(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct link *link = arg;

	link->asked = false;
	if (outcome->status == 0) {
		link->told = link->rules(outcome->result, link->arg);
	} else if (outcome->status == -EREMOTEIO || outcome->status == -ETIMEDOUT) {
		log_warn("the dataplane does not say what to inspect",
			LOG_STR("reason", outcome->message));
		later(link, ASK_AGAIN_S * 1000);
	}
	if (link->again && link_is_up(link))
		ask(link);
}

static void ask(struct link *link)
{
	link->again = link->asked;
	if (link->asked)
		return;
	link->asked = jsonrpc_client_call(link->client, "inspect.get", json_object(), CALL_MS,
			      answered, link) != 0;
}

/* ---- alerts ---- */

/* One that has been sent and not been answered yet. */
struct sending {
	struct link *link;
	json_t *params;
};

static bool is_answer(int status)
{
	return status == 0 || status == -EREMOTEIO || status == -ETIMEDOUT || status == -ECANCELED;
}

static void alerted(const struct jsonrpc_outcome *outcome, void *arg)
{
	static struct log_limit limit = LOG_LIMIT(5, 60);
	struct sending *sending = arg;
	struct link *link = sending->link;

	if (!is_answer(outcome->status)) {
		/* The connection ended before: the next one shall have it. */
		json_array_append(link->waiting, sending->params);
	} else if (outcome->status == 0) {
		link->sent++;
	} else {
		link->refused++;
		log_warn_limited(
			&limit, "an alert was not taken", LOG_STR("reason", outcome->message));
	}
	json_decref(sending->params);
	free(sending);
}

static bool send_alert(struct link *link, json_t *params)
{
	struct sending *sending = malloc(sizeof(*sending));

	if (sending == NULL)
		return false;
	*sending = (struct sending){.link = link, .params = json_incref(params)};
	if (jsonrpc_client_call(link->client, "inspect.alert", json_incref(params), CALL_MS,
		    alerted, sending) != 0)
		return true;
	json_decref(params);
	free(sending);
	return false;
}

static void flush(struct link *link)
{
	json_t *params;

	while (link_is_up(link) && (params = json_array_get(link->waiting, 0)) != NULL) {
		if (!send_alert(link, params))
			return;
		json_array_remove(link->waiting, 0);
	}
}

void link_alert(struct link *link, json_t *params)
{
	static struct log_limit limit = LOG_LIMIT(1, 60);

	if (json_array_size(link->waiting) >= LINK_WAITING) {
		json_array_remove(link->waiting, 0);
		link->lost++;
		log_warn_limited(&limit, "the dataplane is away: the oldest alert is lost",
			LOG_UINT("lost", link->lost));
	}
	json_array_append_new(link->waiting, params);
	flush(link);
}

/* ---- connection ---- */

bool link_is_up(const struct link *link)
{
	return link->client != NULL && jsonrpc_client_is_connected(link->client);
}

bool link_is_told(const struct link *link)
{
	return link_is_up(link) && link->told;
}

static void connected(struct jsonrpc_client *client, void *ctx)
{
	struct link *link = ctx;

	(void)client;
	log_info("connected to the dataplane", LOG_STR("address", link->address));
	link->said = 1;
	ask(link);
	flush(link);
}

static void disconnected(struct jsonrpc_client *client, const char *reason, void *ctx)
{
	struct link *link = ctx;

	(void)client;
	if (link->said != -1)
		log_warn("no dataplane; inspection goes on with what was asked for",
			LOG_STR("address", link->address), LOG_STR("reason", reason));
	link->said = -1;
	link->asked = false;
	link->told = false;
	later(link, RETRY_MS);
}

static void notified(struct jsonrpc_client *client, const char *method, json_t *params, void *ctx)
{
	(void)client;
	(void)params;
	if (strcmp(method, "inspect.changed") == 0)
		ask(ctx);
}

static void try(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)what;
	if (link_is_up(link))
		ask(link);
	else if (jsonrpc_client_connect(link->client, link->address) < 0)
		later(link, RETRY_MS);
}

int link_start(struct link *link, struct event_base *base)
{
	const struct jsonrpc_client_options options = {.connected = connected,
		.disconnected = disconnected,
		.notification = notified,
		.ctx = link};

	link->waiting = json_array();
	link->client = jsonrpc_client_new(base, &options);
	link->retry = evtimer_new(base, try, link);
	if (link->client == NULL || link->retry == NULL || link->waiting == NULL)
		return -ENOMEM;
	later(link, 0);
	return 0;
}

void link_stop(struct link *link)
{
	if (link->client != NULL)
		jsonrpc_client_free(link->client);
	link->client = NULL;
	if (link->retry != NULL)
		event_free(link->retry);
	json_decref(link->waiting);
}
