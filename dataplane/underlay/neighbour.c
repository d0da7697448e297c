/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/neighbour.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/ip_text.h"
#include "core/control.h"
#include "core/rpc.h"
#include "lib/log.h"
#include "underlay/neighbour_wire.h"
#include "underlay/underlay.h"

#define RETRY_MS                                                                                   \
	1000 /* RFC 4861 10 RETRANS_TIMER; RFC 1122 2.3.2.1: at most one request a second */
#define FRESH_MS 10000       /* an answer holds for so long … */
#define FRESH_SPREAD_MS 2047 /* … and a little longer, not the same for all (a power of two - 1) */
#define TRIES 3              /* MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT */
#define ANNOUNCEMENTS 3      /* MAX_NEIGHBOR_ADVERTISEMENT; a switch may not forward yet */
#define BACKOFF_MAX 4        /* doublings of RETRY_MS */
#define BUSY_MS NEIGHBOUR_TICK_MS

enum hop_state { HOP_INCOMPLETE, HOP_REACHABLE, HOP_STALE, HOP_FAILED, HOP_FIXED };

struct hop {
	struct ip_addr addr;
	struct rte_ether_addr mac; /* in REACHABLE, STALE, FIXED */
	uint8_t state;
	uint8_t asked; /* requests since the last answer or change of state */
	bool doubted;  /* fixed by the kernel, which has not said so again yet */
	uint32_t asked_ms;
	uint32_t due_ms;    /* when the clock brings it on */
	struct vtep *vteps; /* behind it, linked by next_behind */
	struct hop *next;   /* of the same hash */
	LIST_ENTRY(hop) link;
};

#define BUCKETS 1024u

static struct neighbour_config config;
static struct hop *hops[BUCKETS];
static LIST_HEAD(, hop) all = LIST_HEAD_INITIALIZER(all);
static bool kernel_owns[2];
static bool started;
static unsigned int hops_made;
static struct {
	unsigned int left;
	uint32_t due_ms;
} announcement;

static uint32_t hash(const struct ip_addr *a)
{
	return (uint32_t)((ip_addr_low(a) ^ ip_addr_high(a)) * 0x9e3779b97f4a7c15ull >> 40);
}

static bool is_given(const struct ip_addr *a)
{
	return (a->q[0] | a->q[1]) != 0;
}

static bool has_mac(const struct hop *h)
{
	return h->state != HOP_INCOMPLETE && h->state != HOP_FAILED;
}

static bool is_due(uint32_t at_ms, uint32_t now_ms)
{
	return (int32_t)(now_ms - at_ms) >= 0;
}

static struct hop *hop_find(const struct ip_addr *addr)
{
	struct hop *h = hops[hash(addr) % BUCKETS];

	while (h != NULL && !ip_addr_equal(&h->addr, addr))
		h = h->next;
	return h;
}

/* What the packet path is told. */
static void publish(const struct hop *h)
{
	for (struct vtep *v = h->vteps; v != NULL; v = v->next_behind)
		vtep_set_next_hop(v, has_mac(h) ? &h->mac : NULL);
}

static void report_unreachable(struct vtep *v, const struct hop *h)
{
	char node[NET_ADDR_TEXT], hop[NET_ADDR_TEXT];

	if (v->reported)
		return;
	v->reported = true;
	ip_addr_format(&v->addr, node);
	if (h == NULL)
		rpc_event("warning", "node", v->name, "unreachable",
			"node %s is unreachable: no route on the underlay to %s", v->name, node);
	else
		rpc_event("warning", "node", v->name, "unreachable",
			"node %s (%s) is unreachable: next hop %s does not answer", v->name, node,
			ip_addr_format(&h->addr, hop));
}

static void report_reachable(struct vtep *v, const struct hop *h)
{
	char node[NET_ADDR_TEXT], hop[NET_ADDR_TEXT];

	if (!v->reported)
		return;
	v->reported = false;
	rpc_event("info", "node", v->name, "reachable",
		"node %s (%s) is reachable again by next hop %s", v->name,
		ip_addr_format(&v->addr, node), ip_addr_format(&h->addr, hop));
}

/* False: not sent, the control ring is full; this was no try. */
static bool ask(struct hop *h, bool everybody, uint32_t now_ms)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	const struct ip_addr *own = &config.own[!ip_addr_is_v4(&h->addr)];
	uint16_t len = neighbour_write_request(
		frame, own, &config.own_mac, &h->addr, everybody ? NULL : &h->mac);

	if (control_send(LOC_NONE, frame, len) != 0) {
		h->due_ms = now_ms + BUSY_MS;
		return false;
	}
	h->asked++;
	h->asked_ms = now_ms;
	h->due_ms = now_ms + RETRY_MS;
	for (struct vtep *v = h->vteps; v != NULL; v = v->next_behind)
		atomic_store_explicit(&v->wanted, false, memory_order_relaxed);
	return true;
}

static void enter(struct hop *h, enum hop_state state, uint32_t due_ms)
{
	h->state = (uint8_t)state;
	h->asked = 0;
	h->due_ms = due_ms;
}

static void enter_reachable(struct hop *h, uint32_t now_ms)
{
	enter(h, HOP_REACHABLE, now_ms + FRESH_MS + (hash(&h->addr) & FRESH_SPREAD_MS));
}

static void fail(struct hop *h, uint32_t now_ms)
{
	bool had = has_mac(h);

	enter(h, HOP_FAILED, now_ms + RETRY_MS);
	if (had)
		publish(h);
	for (struct vtep *v = h->vteps; v != NULL; v = v->next_behind)
		report_unreachable(v, h);
}

/* The hop lives at `mac`. `confirmed`: it answered us, so the way there and back works. */
static void learn(struct hop *h, const struct rte_ether_addr *mac, bool confirmed, uint32_t now_ms)
{
	bool changed = !has_mac(h) || !rte_is_same_ether_addr(&h->mac, mac);

	h->mac = *mac;
	if (confirmed)
		enter_reachable(h, now_ms);
	else if (changed)
		enter(h, HOP_STALE, now_ms);
	if (changed)
		publish(h);
	for (struct vtep *v = h->vteps; v != NULL; v = v->next_behind)
		report_reachable(v, h);
}

static bool find_static(const struct ip_addr *addr, struct rte_ether_addr *mac)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (config.static_entries, i, entry) {
		struct ip_addr a;

		if (ip_addr_parse(json_string_value(json_object_get(entry, "address")), &a) &&
			ip_addr_equal(&a, addr))
			return rte_ether_unformat_addr(
				       json_string_value(json_object_get(entry, "mac")), mac) == 0;
	}
	return false;
}

static struct hop *hop_new(const struct ip_addr *addr, uint32_t now_ms)
{
	struct hop *h = calloc(1, sizeof(*h)), **head = &hops[hash(addr) % BUCKETS];

	if (h == NULL)
		return NULL;
	h->addr = *addr;
	h->next = *head;
	*head = h;
	LIST_INSERT_HEAD(&all, h, link);
	hops_made++;
	enter(h, HOP_INCOMPLETE, now_ms);
	if (find_static(addr, &h->mac))
		h->state = HOP_FIXED;
	else
		ask(h, true, now_ms);
	return h;
}

static void hop_free(struct hop *h)
{
	struct hop **at = &hops[hash(&h->addr) % BUCKETS];

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	LIST_REMOVE(h, link);
	free(h);
}

/* Whom to hand packets for `dst` to. False: nobody is known. */
static bool next_hop_of(const struct ip_addr *dst, struct ip_addr *hop)
{
	bool v6 = !ip_addr_is_v4(dst);

	*hop = *dst;
	if (!is_given(&config.own[v6]))
		return false;
	if (ip_prefix_contains(&config.on_link[v6], dst) || (v6 && ip_addr_is_link_local(dst)))
		return true;
	if (is_given(&config.gateway[v6])) {
		*hop = config.gateway[v6];
		return true;
	}
	/* A next hop of the other family (RFC 8950) is asked for from our address of that family. */
	return config.kernel_route != NULL && config.kernel_route(dst, hop) &&
	       is_given(&config.own[!ip_addr_is_v4(hop)]);
}

static bool is_own(const struct ip_addr *a)
{
	return ip_addr_equal(a, &config.own[!ip_addr_is_v4(a)]);
}

void neighbour_vtep_added(struct vtep *vtep, uint32_t now_ms)
{
	struct ip_addr addr;
	struct hop *h;

	if (!started || is_own(&vtep->addr))
		return;
	if (!next_hop_of(&vtep->addr, &addr)) {
		report_unreachable(vtep, NULL);
		return;
	}
	h = hop_find(&addr);
	if (h == NULL)
		h = hop_new(&addr, now_ms);
	if (h == NULL) {
		log_error("no memory for a next hop", LOG_STR("node", vtep->name));
		return;
	}
	vtep->hop = h;
	vtep->next_behind = h->vteps;
	h->vteps = vtep;
	if (has_mac(h)) {
		vtep_set_next_hop(vtep, &h->mac);
		report_reachable(vtep, h);
	} else if (h->state == HOP_FAILED) {
		report_unreachable(vtep, h);
	}
}

void neighbour_vtep_removed(struct vtep *vtep)
{
	struct hop *h = vtep->hop;
	struct vtep **at;

	if (h == NULL)
		return;
	for (at = &h->vteps; *at != vtep; at = &(*at)->next_behind)
		;
	*at = vtep->next_behind;
	vtep->hop = NULL;
	vtep->next_behind = NULL;
	if (h->vteps == NULL)
		hop_free(h);
}

void neighbour_reroute(uint32_t now_ms)
{
	for (struct vtep *v = vtep_next(NULL); v != NULL; v = vtep_next(v)) {
		struct ip_addr addr;
		bool found = next_hop_of(&v->addr, &addr);

		if (found == (v->hop != NULL) && (!found || ip_addr_equal(&v->hop->addr, &addr)))
			continue;
		neighbour_vtep_removed(v);
		neighbour_vtep_added(v, now_ms);
		if (v->hop == NULL || !has_mac(v->hop))
			vtep_set_next_hop(v, NULL);
	}
}

int neighbour_start(const struct neighbour_config *given, uint32_t now_ms)
{
	config = *given;
	started = true;
	for (struct vtep *v = vtep_next(NULL); v != NULL; v = vtep_next(v))
		neighbour_vtep_added(v, now_ms);
	return 0;
}

void neighbour_kernel_owns(bool v6, bool owns)
{
	kernel_owns[v6] = owns;
}

void neighbour_kernel_knows(const struct ip_addr *addr, const struct rte_ether_addr *mac,
	enum neighbour_trust trust, uint32_t now_ms)
{
	struct hop *h = hop_find(addr);
	struct rte_ether_addr configured;

	if (h == NULL || find_static(addr, &configured))
		return;
	if (h->state == HOP_FIXED && trust != NEIGHBOUR_FIXED)
		enter(h, HOP_STALE, now_ms);
	if (trust == NEIGHBOUR_HINT ? !has_mac(h) : trust != NEIGHBOUR_UNKNOWN)
		learn(h, mac, trust != NEIGHBOUR_HINT, now_ms);
	if (trust == NEIGHBOUR_FIXED)
		h->state = HOP_FIXED;
	h->doubted = false;
}

void neighbour_kernel_begin(void)
{
	struct rte_ether_addr configured;
	struct hop *h;

	LIST_FOREACH (h, &all, link)
		h->doubted = h->state == HOP_FIXED && !find_static(&h->addr, &configured);
}

void neighbour_kernel_end(uint32_t now_ms)
{
	struct hop *h;

	LIST_FOREACH (h, &all, link) {
		if (h->doubted)
			enter(h, HOP_STALE, now_ms);
		h->doubted = false;
	}
}

unsigned int neighbour_hops_made(void)
{
	return hops_made;
}

void neighbour_own_mac(const struct rte_ether_addr *mac)
{
	struct hop *h;

	config.own_mac = *mac;
	LIST_FOREACH (h, &all, link)
		publish(h);
}

static void announce_once(void)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];

	for (int v6 = 0; v6 < 2; v6++)
		if (is_given(&config.own[v6]))
			control_send(LOC_NONE, frame,
				neighbour_write_announcement(
					frame, &config.own[v6], &config.own_mac));
}

void neighbour_announce(uint32_t now_ms)
{
	announcement.left = ANNOUNCEMENTS;
	announcement.due_ms = now_ms;
}

static void announcement_tick(uint32_t now_ms)
{
	if (announcement.left == 0 || !is_due(announcement.due_ms, now_ms))
		return;
	announce_once();
	announcement.left--;
	announcement.due_ms = now_ms + RETRY_MS;
}

/* RFC 4861 7.2.5. */
static void receive_answer(struct hop *h, const struct neighbour_message *msg, uint32_t now_ms)
{
	if (!msg->has_mac) {
		if (has_mac(h) && msg->solicited)
			learn(h, &h->mac, true, now_ms);
		return;
	}
	if (has_mac(h) && !msg->override && !rte_is_same_ether_addr(&h->mac, &msg->mac)) {
		if (h->state == HOP_REACHABLE)
			enter(h, HOP_STALE, now_ms);
		return;
	}
	learn(h, &msg->mac, msg->solicited, now_ms);
}

static void receive_request(const struct neighbour_message *msg)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	bool v6 = msg->v6;

	if (kernel_owns[v6] || !is_given(&config.own[v6]) ||
		!ip_addr_equal(&msg->target, &config.own[v6]))
		return;
	/* When the ring is full the asker asks again. */
	control_send(LOC_NONE, frame, neighbour_write_answer(frame, &config.own_mac, msg));
}

void neighbour_receive(const uint8_t *frame, uint16_t len, uint32_t now_ms)
{
	static struct log_limit limit = LOG_LIMIT(3, 60);
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[NET_ADDR_TEXT];
	struct neighbour_message msg;
	struct hop *h;

	if (!neighbour_parse(frame, len, &msg) ||
		rte_is_same_ether_addr(&msg.from, &config.own_mac))
		return;
	if (msg.has_subject && is_own(&msg.subject)) {
		rte_ether_format_addr(mac, sizeof(mac), &msg.from);
		log_warn_limited(&limit, "somebody else uses the underlay address of this node",
			LOG_STR("address", ip_addr_format(&msg.subject, text)),
			LOG_STR("mac", mac));
		return;
	}
	h = msg.has_subject ? hop_find(&msg.subject) : NULL;
	if (h != NULL && h->state == HOP_FIXED)
		h = NULL;
	if (h != NULL && msg.request && msg.has_mac)
		learn(h, &msg.mac, false, now_ms);
	else if (h != NULL && !msg.request)
		receive_answer(h, &msg, now_ms);
	if (msg.request)
		receive_request(&msg);
}

static bool is_wanted(const struct hop *h)
{
	for (const struct vtep *v = h->vteps; v != NULL; v = v->next_behind)
		if (atomic_load_explicit(&v->wanted, memory_order_relaxed))
			return true;
	return false;
}

static void retry_failed(struct hop *h, uint32_t now_ms)
{
	unsigned int doublings;

	if (!is_due(h->due_ms, now_ms) && !(is_due(h->asked_ms + RETRY_MS, now_ms) && is_wanted(h)))
		return;
	if (!ask(h, true, now_ms))
		return;
	doublings = h->asked < BACKOFF_MAX ? h->asked : BACKOFF_MAX;
	h->due_ms = now_ms + (RETRY_MS << doublings);
	h->asked = (uint8_t)doublings;
}

static void hop_tick(struct hop *h, uint32_t now_ms)
{
	if (h->state == HOP_FIXED)
		return;
	if (h->state == HOP_FAILED) {
		retry_failed(h, now_ms);
		return;
	}
	if (!is_due(h->due_ms, now_ms))
		return;
	if (h->state == HOP_REACHABLE)
		enter(h, HOP_STALE, now_ms);
	if (h->asked >= (h->state == HOP_STALE ? 2 * TRIES : TRIES))
		fail(h, now_ms);
	else
		ask(h, h->state == HOP_INCOMPLETE || h->asked >= TRIES, now_ms);
}

void neighbour_tick(uint32_t now_ms)
{
	struct hop *h;

	announcement_tick(now_ms);
	LIST_FOREACH (h, &all, link)
		hop_tick(h, now_ms);
}
