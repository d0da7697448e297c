/* SPDX-License-Identifier: Apache-2.0 */
/* Back ends that are checked here: when each is asked, and what becomes of the answer. */
#include "health/health_internal.h"

#include <string.h>

#include <rte_common.h>

#include "core/worker.h"
#include "health/health_net.h"
#include "health/health_scope.h"

/* First questions of many begin at this rate. */
#define FIRST_PER_MS 4u
#define FIRST_WITHIN_MS 100u
/* Machines send few ICMP errors a second (Linux: one, after the first few): as long as that, silence says nothing new. */
#define REFUSED_MS 3000u

static struct event_base *base;
static uint32_t began; /* checks that ever were, for their phases */
static unsigned int n_checks;

static void arm(struct health_check *c, uint32_t due_ms, uint32_t now_ms)
{
	uint32_t wait_ms = (int32_t)(due_ms - now_ms) > 0 ? due_ms - now_ms : 0;
	struct timeval wait = {(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000)};

	c->due_ms = due_ms;
	event_add(&c->timer, &wait);
}

/* The table of balancers is told when there is something new to say. */
static void say(struct health_check *c, const char *reason)
{
	struct lb_backend *b = c->backend;

	if (atomic_load_explicit(&b->health, memory_order_relaxed) != c->rule.state ||
		strcmp(b->reason, reason) != 0)
		lb_health_set(b, c->rule.state, reason);
}

static void finish(struct health_check *c, enum health_outcome outcome, const char *reason)
{
	uint32_t now_ms = clock_ms();
	enum lb_health before = c->rule.state;

	c->running = false;
	arm(c, health_next_ms(c->start_ms, c->phase_ms, c->settings.interval_ms, now_ms), now_ms);
	if (outcome == HEALTH_NOT_ASKED) {
		say(c, reason);
		return;
	}
	if (health_rule_result(
		    &c->rule, outcome == HEALTH_OUTCOME_GOOD, c->settings.rise, c->settings.fall)) {
		say(c, reason);
		health_event(c, before);
		health_gossip_changed(c);
	} else if ((outcome == HEALTH_OUTCOME_GOOD) == (c->rule.state == LB_HEALTH_UP)) {
		say(c, reason); /* it says why the state is what it is */
	}
}

static void answered(struct health_ask *ask, enum health_outcome outcome, const char *reason)
{
	struct health_check *c =
		(struct health_check *)((char *)ask - offsetof(struct health_check, ask));

	c->refused = outcome == HEALTH_OUTCOME_BAD;
	c->refused_ms = clock_ms();
	finish(c, outcome, reason);
}

static void begin(struct health_check *c, uint32_t now_ms)
{
	const char *problem = health_net_ready();

	c->start_ms = now_ms;
	if (problem == NULL && !c->has_target) {
		c->has_target = health_target_get(
			lb_vni(c->backend->listener->lb), &c->backend->addr, &c->ask.check);
		problem = c->has_target ? NULL : "no check address is left";
	}
	if (problem != NULL) {
		finish(c, HEALTH_NOT_ASKED, problem);
		return;
	}
	c->running = true;
	arm(c, now_ms + c->settings.timeout_ms, now_ms);
	health_ask_start(&c->ask);
}

static bool was_refused(const struct health_check *c)
{
	return c->settings.type == HEALTH_UDP && c->refused &&
	       clock_ms() - c->refused_ms < REFUSED_MS;
}

/* Datagrams that nobody said to answer to are fine when nobody refuses them. */
static bool may_be_silent(const struct health_check *c)
{
	return c->settings.type == HEALTH_UDP && c->settings.expect[0] == '\0' && !was_refused(c);
}

static void give_up(struct health_check *c)
{
	const char *problem = health_target_problem(&c->ask.check);

	health_ask_stop(&c->ask);
	if (problem != NULL)
		finish(c, HEALTH_OUTCOME_BAD, problem);
	else if (may_be_silent(c))
		finish(c, HEALTH_OUTCOME_GOOD, "not refused");
	else
		finish(c, HEALTH_OUTCOME_BAD, was_refused(c) ? "port unreachable" : "timeout");
}

static void timer(evutil_socket_t fd, short what, void *arg)
{
	struct health_check *c = arg;
	uint32_t now_ms = clock_ms();

	(void)fd;
	(void)what;
	if ((int32_t)(c->due_ms - now_ms) >
		0) /* the event loop's time is that of its turn's begin */
		arm(c, c->due_ms, now_ms);
	else if (c->running)
		give_up(c);
	else
		begin(c, now_ms);
}

int health_check_init(struct event_base *b)
{
	base = b;
	return 0;
}

void health_check_fini(void)
{
	health_net_close();
}

/* The first question comes soon, the others at the check's own place in the interval. */
void health_check_start(struct health_check *c)
{
	uint32_t now_ms = clock_ms(), within_ms = RTE_MAX(FIRST_WITHIN_MS, n_checks / FIRST_PER_MS);

	n_checks++;
	c->rule = (struct health_rule){
		.state = atomic_load_explicit(&c->backend->health, memory_order_relaxed)};
	c->phase_ms = health_phase(began, c->settings.interval_ms);
	c->ask = (struct health_ask){.settings = &c->settings,
		.machine = c->backend->addr,
		.port = c->settings.port != 0 ? c->settings.port
					      : rte_be_to_cpu_16(c->backend->port_number),
		.done = answered,
		.fd = -1};
	health_ask_init(base, &c->ask);
	event_assign(&c->timer, base, -1, 0, timer, c);
	arm(c, now_ms + health_phase(began++, RTE_MIN(within_ms, c->settings.interval_ms)), now_ms);
}

void health_check_stop(struct health_check *c)
{
	n_checks--;
	event_del(&c->timer);
	health_ask_fini(&c->ask);
	if (c->has_target)
		health_target_put(&c->ask.check);
	c->has_target = c->running = false;
}

unsigned int health_check_count(void)
{
	return n_checks;
}
