/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to this host's dataplane: connects again for ever, asks inspect.get after connecting and after
 * inspect.changed, and sends alerts; those of a time without connection are kept, up to a number.
 */
#ifndef INSPECTD_LINK_H
#define INSPECTD_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;
struct jsonrpc_client;

#define LINK_WAITING 256

struct link {
	const char *address;
	struct jsonrpc_client *client;
	struct event *retry;
	json_t *waiting; /* alerts to be sent */
	bool asked;      /* inspect.get is under way */
	bool again;      /* … and must be repeated */
	bool told;       /* … and what was answered on this connection has been taken */
	int said;        /* what was said about the connection last: 0 nothing, 1 there, -1 away */
	uint64_t sent, refused, lost;
	/* An answer to inspect.get; borrowed. False: it says nothing yet. */
	bool (*rules)(const json_t *answer, void *arg);
	void *arg;
};

/* `link` has address, rules, arg set. 0 or -errno. */
int link_start(struct link *link, struct event_base *base);
void link_stop(struct link *link);
bool link_is_up(const struct link *link);
/* Connected, and the dataplane has said what holds: its feed is of the run that we know. */
bool link_is_told(const struct link *link);
/* Takes the params of inspect.alert. */
void link_alert(struct link *link, json_t *params);

#endif
