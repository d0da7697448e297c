/* SPDX-License-Identifier: Apache-2.0 */
#include "inspectd.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc_server.h"
#include "lib/log.h"
#include "lib/resource.h"

/* ---- rules ---- */

static void name_feed(struct inspectd *d, const char *ifname)
{
	if (ifname == NULL)
		ifname = "";
	if (strcmp(d->feed.ifname, ifname) != 0) {
		attach_remove(&d->feed, &d->programs);
		d->feed = (struct attachment){.feed = true, .want_xdp = d->config.xdp};
		snprintf(d->feed.ifname, sizeof(d->feed.ifname), "%s", ifname);
	}
	attach_check(&d->feed, &d->programs);
}

/* Numbers of ports mean something to one run of the dataplane. What was seen before this one's feed is attached is of the last. */
static void take_instance(struct inspectd *d, const json_t *answer)
{
	uint32_t instance = (uint32_t)resource_integer(answer, "instance", 0);

	if (d->programs.state->instance == instance)
		return;
	ring_buffer__consume(d->ring);
	d->programs.state->instance = instance;
	alerts_forget(&d->alerts);
}

static bool take_rules(const json_t *answer, void *arg)
{
	struct inspectd *d = arg;
	char why[RULES_WHY];
	int rc;

	/* It has just been started, and will tell when it knows. Learning is not to begin anew for that. */
	if (resource_integer(answer, "revision", 0) == 0)
		return false;
	rc = rules_obey(&d->rules, &d->programs, answer, why);
	if (rc < 0)
		log_error("what the dataplane asks for is not obeyed", LOG_STR("reason", why),
			LOG_ERRNO(rc));
	else
		log_info("inspecting", LOG_UINT("vpcs", json_object_size(d->rules.vpcs)),
			LOG_INT("revision", d->rules.revision));
	take_instance(d, answer);
	event_add(d->readable, NULL);
	name_feed(d, json_string_value(json_object_get(answer, "interface")));
	return true;
}

/* ---- events ---- */

static int take_event(void *arg, void *data, size_t size)
{
	struct inspectd *d = arg;
	struct sight_event event;

	if (size < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	alerts_take(&d->alerts, &event);
	return 0;
}

static void read_events(evutil_socket_t fd, short what, void *arg)
{
	struct inspectd *d = arg;

	(void)fd;
	(void)what;
	ring_buffer__consume(d->ring);
}

/* Programs look at less when events are lost; at more again when a second went well. */
static void watch_losses(struct inspectd *d)
{
	static struct log_limit limit = LOG_LIMIT(1, 60);
	uint64_t lost = programs_counter(&d->programs, SIGHT_COUNT_LOST);

	if (lost > d->lost_seen)
		log_warn_limited(&limit, "the ring of events was full", LOG_UINT("lost", lost),
			LOG_UINT("sampling", 1U << d->programs.state->shift));
	else if (d->programs.state->shift > 0)
		d->programs.state->shift--;
	d->lost_seen = lost;
}

static void each_second(evutil_socket_t fd, short what, void *arg)
{
	struct inspectd *d = arg;

	(void)fd;
	(void)what;
	/* The feed of a dataplane that was started again is another interface of the same name. */
	if (link_is_told(&d->link))
		attach_check(&d->feed, &d->programs);
	else
		attach_look(&d->feed);
	for (size_t i = 0; i < d->port_count; i++)
		attach_check(&d->ports[i], &d->programs);
	watch_losses(d);
}

/* ---- start and stop ---- */

static int take_ports(struct inspectd *d)
{
	json_t *one;
	size_t i;

	d->ports = calloc(json_array_size(d->config.interfaces) + 1, sizeof(*d->ports));
	if (d->ports == NULL)
		return -ENOMEM;
	json_array_foreach ((json_t *)d->config.interfaces, i, one) {
		struct attachment *a = &d->ports[d->port_count++];

		snprintf(a->ifname, sizeof(a->ifname), "%s", resource_text(one, "ifname"));
		a->want_xdp = strcmp(resource_text(one, "mode"), "xdp") == 0;
		a->vni = (uint32_t)resource_integer(one, "vni", 0);
		a->port = resource_text(one, "port");
	}
	d->alerts.ports = d->ports;
	d->alerts.port_count = d->port_count;
	return 0;
}

/* Interfaces that an earlier run watched and this one should not. */
static void forget_ports(struct inspectd *d)
{
	int map = programs_map(&d->programs, "interfaces");
	uint32_t key, next;
	bool more = bpf_map_get_next_key(map, NULL, &key) == 0;

	for (; more; key = next) {
		struct attachment old = {.ifindex = (int)key};
		char ifname[IF_NAMESIZE] = "";
		bool wanted = false;

		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if_indextoname(key, ifname);
		for (size_t i = 0; i < d->port_count; i++)
			wanted = wanted || strcmp(ifname, d->ports[i].ifname) == 0;
		if (!wanted)
			attach_remove(&old, &d->programs);
	}
}

static void serve_status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	jsonrpc_reply(call, inspectd_status(ctx));
}

static const struct jsonrpc_method methods[] = {{"inspectd.status", serve_status}, {}};

static int start_server(struct inspectd *d, struct event_base *base)
{
	const struct jsonrpc_server_options options = {.methods = methods, .ctx = d};

	d->server = jsonrpc_server_new(base, &options);
	return d->server != NULL ? jsonrpc_server_listen_unix(d->server, d->config.rpc) : -ENOMEM;
}

static int start_events(struct inspectd *d, struct event_base *base)
{
	const struct timeval second = {.tv_sec = 1};

	d->ring = ring_buffer__new(programs_map(&d->programs, "events"), take_event, d, NULL);
	if (d->ring == NULL) {
		log_error("the ring of events cannot be read", LOG_ERRNO(errno));
		return -errno;
	}
	d->readable = event_new(
		base, ring_buffer__epoll_fd(d->ring), EV_READ | EV_PERSIST, read_events, d);
	d->tick = event_new(base, -1, EV_PERSIST, each_second, d);
	if (d->readable == NULL || d->tick == NULL)
		return -ENOMEM;
	event_add(d->tick, &second);
	d->lost_seen = programs_counter(&d->programs, SIGHT_COUNT_LOST);
	return 0;
}

int inspectd_start(struct inspectd *d, struct event_base *base)
{
	int rc = programs_load(&d->programs, &d->config);

	d->alerts.programs = &d->programs;
	d->alerts.rules = &d->rules;
	d->alerts.link = &d->link;
	d->link.address = d->config.dataplane;
	d->link.rules = take_rules;
	d->link.arg = d;
	if (rc == 0)
		rc = take_ports(d);
	if (rc == 0)
		rc = alerts_start(&d->alerts, base);
	if (rc == 0)
		rc = start_events(d, base);
	if (rc == 0)
		rc = start_server(d, base);
	if (rc == 0)
		rc = link_start(&d->link, base);
	if (rc < 0)
		return rc;
	forget_ports(d);
	for (size_t i = 0; i < d->port_count; i++)
		attach_check(&d->ports[i], &d->programs);
	return 0;
}

void inspectd_stop(struct inspectd *d)
{
	link_stop(&d->link);
	if (d->server != NULL)
		jsonrpc_server_free(d->server);
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->tick != NULL)
		event_free(d->tick);
	alerts_stop(&d->alerts);
	ring_buffer__free(d->ring);
	rules_free(&d->rules);
	programs_unload(&d->programs);
	free(d->ports);
}
