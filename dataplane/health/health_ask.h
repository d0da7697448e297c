/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_ASK_H
#define HEALTH_HEALTH_ASK_H
/* One question to one back end: a socket in the checks' namespace, from connect() to the verdict. Who asks has the clock.
 *
 *   tcp    connected, and the expected text?       udp    any datagram back, or one with the expected text
 *   http   GET, then health_http_answer()          icmp   the reply to our echo request
 *
 * A connection is closed after its question, by a RST: nobody waits for it. A datagram socket stays for the next one, so that all
 * are one flow.
 *
 * Control thread.
 */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/ip.h"
#include "health/health_settings.h"
#include "lb/lb.h"

/* NOT_ASKED: for want of something here (file descriptors, memory); says nothing about the back end. */
enum health_outcome { HEALTH_OUTCOME_GOOD, HEALTH_OUTCOME_BAD, HEALTH_NOT_ASKED };

struct health_ask {
	/* Set by who asks. */
	const struct health_settings *settings;
	struct ip_addr check;   /* where it is reached, health_scope.h */
	struct ip_addr machine; /* where it is, for the request's Host */
	uint16_t port;
	/* Called once, within health_ask_start() too, unless health_ask_stop() comes first. The question is over then. */
	void (*done)(struct health_ask *ask, enum health_outcome outcome, const char *reason);
	/* The rest is health_ask.c's. */
	int fd; /* -1: none */
	struct event io;
	char *data; /* http: what has come */
	size_t len;
	uint64_t nonce; /* icmp */
};

/* Once, `ask` with fd -1. */
void health_ask_init(struct event_base *base, struct health_ask *ask);
void health_ask_start(struct health_ask *ask);
/* No answer is waited for any more. */
void health_ask_stop(struct health_ask *ask);
/* And nothing will be asked. */
void health_ask_fini(struct health_ask *ask);

#endif
