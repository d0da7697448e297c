/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_INTERNAL_H
#define HEALTH_HEALTH_INTERNAL_H
/* What is known about one back end (lb_backend.check). Control thread. */
#include <sys/queue.h>

#include "health/health_ask.h"
#include "health/health_rule.h"
#include "health/health_settings.h"

struct health_gateway;

struct health_check {
	struct lb_backend *backend;
	struct health_gateway *gateway; /* the node that checks; NULL: this one */
	struct health_settings settings;

	/* Checked here: health_check.c. */
	struct health_rule rule;
	struct health_ask ask;
	struct event timer; /* of the next question, or of the end of this one */
	bool running;
	bool has_target; /* ask.check is one */
	uint32_t phase_ms, start_ms, due_ms;
	bool refused; /* udp: by an ICMP error, at refused_ms */
	uint32_t refused_ms;

	/* Told to others, or by them: health_gossip.c. */
	uint64_t number; /* of its last change */
	bool queued;     /* here: to be told */
	bool told;       /* elsewhere: it was, since the other one has started */
	uint32_t asked_ms;
	TAILQ_ENTRY(health_check)
	link; /* here: of those that are queued; elsewhere: of its gateway's */
};

/* health_check.c */
int health_check_init(struct event_base *base);
void health_check_fini(void);
void health_check_start(struct health_check *c);
void health_check_stop(struct health_check *c);
unsigned int health_check_count(void); /* under way or to come */

/* health_gossip.c */
int health_gossip_init(struct event_base *base);
void health_gossip_fini(void);
void health_gossip_changed(struct health_check *c); /* one that is checked here */
void health_gossip_forget(struct health_check *c);
/* Follows what that node says. -ENOMEM. */
int health_gossip_follow(struct health_check *c, const char *gateway);
void health_gossip_leave(struct health_check *c);

/* health_event.c: tells the controller of what goes down and comes back, of too many at once only how many. */
void health_event(const struct health_check *c, enum lb_health before);

#endif
