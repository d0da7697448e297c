/* SPDX-License-Identifier: Apache-2.0 */
#include "alerts.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "lib/log.h"

#define NS 1000000000ULL
#define PROBES 8
/* The window of first contacts is how long they are remembered: the programs tell each once in it. */
#define CONTACT_S 60

/* ---- told already ---- */

static bool by_target(uint32_t detector)
{
	return detector == SIGHT_FIRST_CONTACT || detector == SIGHT_INDICATOR ||
	       detector == SIGHT_DNS_TUNNEL;
}

static struct alerts_told key_of(const struct sight_event *e)
{
	struct alerts_told key = {.source = e->source, .vni = e->vni, .detector = e->detector};

	if (by_target(e->detector))
		key.target = e->target;
	/* Senders of a flood from outside are many and false: it is one flood. */
	if (e->detector == SIGHT_SYN_FLOOD && e->port == SIGHT_OUTSIDE) {
		key.target = e->target;
		memset(&key.source, 0, sizeof(key.source));
	}
	return key;
}

static uint64_t hash(const struct alerts_told *key)
{
	uint64_t h = key->vni * 31 + key->detector;

	for (int i = 0; i < 2; i++) {
		h ^= key->source.d[i] ^ (key->target.d[i] << 1 | key->target.d[i] >> 63);
		h ^= h >> 33;
		h *= 0x9e3779b97f4a7c15ULL;
	}
	return h >> 32;
}

static bool same_key(const struct alerts_told *a, const struct alerts_told *b)
{
	return memcmp(&a->source, &b->source, sizeof(a->source)) == 0 &&
	       memcmp(&a->target, &b->target, sizeof(a->target)) == 0 && a->vni == b->vni &&
	       a->detector == b->detector;
}

/* The entry of a key, or the one that makes room for it: the earliest to end of a few. */
static struct alerts_told *told_slot(struct alerts *a, const struct alerts_told *key)
{
	uint64_t at = hash(key);
	struct alerts_told *best = &a->told[at % ALERTS_TOLD];

	for (unsigned i = 0; i < PROBES; i++) {
		struct alerts_told *t = &a->told[(at + i) % ALERTS_TOLD];

		if (t->until_ns != 0 && same_key(t, key))
			return t;
		if (t->until_ns < best->until_ns)
			best = t;
	}
	return best;
}

/* ---- telling ---- */

static bool within_limit(struct alerts *a, uint64_t now)
{
	uint64_t gained = (now - a->bucket_ns) * ALERTS_PER_S / NS;

	if (gained > 0) {
		a->bucket = a->bucket + gained > ALERTS_BURST ? ALERTS_BURST : a->bucket + gained;
		a->bucket_ns = now;
	}
	if (a->bucket == 0)
		return false;
	a->bucket--;
	return true;
}

static void say(const struct sight_event *e, const char *inspection)
{
	char source[EVIDENCE_ADDRESS], target[EVIDENCE_ADDRESS];

	log_info("alert", LOG_STR("detector", rules_detector(e->detector)),
		LOG_STR("inspection", inspection), LOG_UINT("vni", e->vni),
		LOG_STR("source", evidence_address(&e->source, source)),
		LOG_STR("target", evidence_address(&e->target, target)),
		LOG_UINT("count", e->count));
}

/* Whose it was: by name, or by a number that means something to one run of the dataplane. */
static void add_port(
	const struct alerts *a, json_t *params, const struct sight_event *e, uint32_t instance)
{
	const char *name = attach_port_name(a->ports, a->port_count, e->port);

	if (name != NULL) {
		json_object_set_new(params, "port", json_string(name));
	} else if (e->port < SIGHT_OUTSIDE) {
		json_object_set_new(params, "port_index", json_integer(e->port));
		json_object_set_new(params, "instance", json_integer(instance));
	} else {
		json_object_set_new(params, "port_index", json_null());
	}
}

static void tell(struct alerts *a, const struct sight_event *e, uint32_t instance)
{
	static struct log_limit limit = LOG_LIMIT(1, 60);
	const char *inspection = rules_inspection(a->rules, e->vni, e->detector);
	uint64_t now = programs_now_ns(),
		 window_s = e->detector == SIGHT_FIRST_CONTACT ? CONTACT_S : e->window_s;
	struct alerts_told key = key_of(e), *told = told_slot(a, &key);
	json_t *params;

	if (inspection == NULL)
		return;
	if (told->until_ns > now && same_key(told, &key)) {
		a->repeated++;
		return;
	}
	if (!within_limit(a, now)) {
		a->limited++;
		log_warn_limited(&limit, "too many alerts: some are left out",
			LOG_UINT("left_out", a->limited));
		return;
	}
	*told = key;
	told->until_ns = now + window_s * NS;
	params = evidence_alert(a->programs, a->rules, e);
	if (params == NULL)
		return;
	json_object_set_new(params, "inspection", json_string(inspection));
	add_port(a, params, e, instance);
	a->raised++;
	link_alert(a->link, params);
	say(e, inspection);
}

/* ---- looking again ---- */

static bool may_be_answered(const struct sight_event *e)
{
	return e->detector == SIGHT_HOST_SCAN || e->detector == SIGHT_ICMP_SWEEP;
}

/* Are there still too many without an answer? */
static bool holds(struct alerts *a, struct sight_event *e)
{
	struct sight_spread spread;
	struct sight_rule rule;

	if (!rules_get(a->programs, e->vni, e->detector, &rule) ||
		bpf_map_lookup_elem(programs_map(a->programs, "spreads"), &e->spread, &spread) < 0)
		return false;
	e->count = spread.open;
	return spread.open >= rule.threshold && spread.open * 2 >= spread.seen;
}

static void arm(struct alerts *a)
{
	const struct timeval look = {.tv_usec = ALERTS_GRACE_MS * 1000 / 4};

	if (a->pending_count > 0 && !evtimer_pending(a->timer, NULL))
		evtimer_add(a->timer, &look);
}

static void look_again(evutil_socket_t fd, short what, void *arg)
{
	struct alerts *a = arg;
	uint64_t now = programs_now_ns();

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < a->pending_count;) {
		struct alerts_pending due = a->pending[i];

		if (due.due_ns > now) {
			i++;
			continue;
		}
		a->pending[i] = a->pending[--a->pending_count];
		if (holds(a, &due.event))
			tell(a, &due.event, due.instance);
		else
			a->answered++;
	}
	arm(a);
}

void alerts_take(struct alerts *a, const struct sight_event *event)
{
	uint32_t instance = a->programs->state->instance;

	if (!may_be_answered(event) || a->pending_count == ALERTS_PENDING) {
		tell(a, event, instance);
		return;
	}
	for (unsigned i = 0; i < a->pending_count; i++)
		if (memcmp(&a->pending[i].event.spread, &event->spread, sizeof(event->spread)) == 0)
			return;
	a->pending[a->pending_count++] =
		(struct alerts_pending){.due_ns = programs_now_ns() + ALERTS_GRACE_MS * 1000000ULL,
			.instance = instance,
			.event = *event};
	arm(a);
}

void alerts_forget(struct alerts *a)
{
	memset(a->told, 0, sizeof(a->told));
}

int alerts_start(struct alerts *a, struct event_base *base)
{
	a->bucket = ALERTS_BURST;
	a->bucket_ns = programs_now_ns();
	a->timer = evtimer_new(base, look_again, a);
	return a->timer != NULL ? 0 : -ENOMEM;
}

void alerts_stop(struct alerts *a)
{
	if (a->timer != NULL)
		event_free(a->timer);
	a->timer = NULL;
}
