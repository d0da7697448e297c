/* SPDX-License-Identifier: Apache-2.0 */
#include "neighbour/neighbour.h"

#include "base/ip_text.h"
#include "core/control.h"
#include "lib/log.h"
#include "neighbour/neighbour_wire.h"

#define RETRY_MS NEIGHBOUR_RETRY_MS
#define TRIES 3 /* MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT */
#define BUSY_MS NEIGHBOUR_TICK_MS

const struct neighbour_pace neighbour_pace_usual = {.fresh_ms = 10000,
	.spread_ms = 2047,
	.tries = TRIES,
	.stale_tries = 2 * TRIES,
	.backoff_max = 4};
const struct neighbour_pace neighbour_pace_watched = {
	.fresh_ms = 1000, .spread_ms = 127, .tries = 2, .stale_tries = 3, .backoff_max = 0};

static uint32_t hash(const struct ip_addr *a)
{
	return (uint32_t)((ip_addr_low(a) ^ ip_addr_high(a)) * 0x9e3779b97f4a7c15ull >> 40);
}

static bool is_given(const struct ip_addr *a)
{
	return (a->q[0] | a->q[1]) != 0;
}

static bool is_due(uint32_t at_ms, uint32_t now_ms)
{
	return (int32_t)(now_ms - at_ms) >= 0;
}

bool neighbour_has_mac(const struct neighbour *n)
{
	return n->state != NEIGHBOUR_INCOMPLETE && n->state != NEIGHBOUR_FAILED;
}

bool neighbour_is_own(const struct neighbour_link *l, const struct ip_addr *a)
{
	return ip_addr_equal(a, &l->own[!ip_addr_is_v4(a)]);
}

struct neighbour *neighbour_find(const struct neighbour_link *l, const struct ip_addr *addr)
{
	struct neighbour *n = l->buckets[hash(addr) % NEIGHBOUR_BUCKETS];

	while (n != NULL && !ip_addr_equal(&n->addr, addr))
		n = n->next;
	return n;
}

/* False: not sent, the control ring is full; this was no try. */
static bool ask(struct neighbour_link *l, struct neighbour *n, bool everybody, uint32_t now_ms)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	const struct ip_addr *own = &l->own[!ip_addr_is_v4(&n->addr)];
	uint16_t len = neighbour_write_request(
		frame, own, &l->own_mac, &n->addr, everybody ? NULL : &n->mac);

	if (control_send(l->out, frame, len) != 0) {
		n->due_ms = now_ms + BUSY_MS;
		return false;
	}
	n->asked++;
	n->asked_ms = now_ms;
	n->due_ms = now_ms + RETRY_MS;
	l->ops->asked(n);
	return true;
}

static void enter(struct neighbour *n, enum neighbour_state state, uint32_t due_ms)
{
	n->state = (uint8_t)state;
	n->asked = 0;
	n->due_ms = due_ms;
}

static void enter_reachable(struct neighbour *n, uint32_t now_ms)
{
	enter(n, NEIGHBOUR_REACHABLE,
		now_ms + n->pace->fresh_ms + (hash(&n->addr) & n->pace->spread_ms));
}

static void fail(struct neighbour_link *l, struct neighbour *n, uint32_t now_ms)
{
	bool had = neighbour_has_mac(n);

	enter(n, NEIGHBOUR_FAILED, now_ms + RETRY_MS);
	if (had)
		l->ops->publish(n, false);
	l->ops->lost(n);
}

/* It lives at `mac`. `confirmed`: it answered us, so the way there and back works. */
static void learn(struct neighbour_link *l, struct neighbour *n, const struct rte_ether_addr *mac,
	bool confirmed, uint32_t now_ms)
{
	bool changed = !neighbour_has_mac(n) || !rte_is_same_ether_addr(&n->mac, mac);

	n->mac = *mac;
	if (confirmed)
		enter_reachable(n, now_ms);
	else if (changed)
		enter(n, NEIGHBOUR_STALE, now_ms);
	if (changed)
		l->ops->publish(n, true);
	l->ops->found(n);
}

static bool find_static(
	const struct neighbour_link *l, const struct ip_addr *addr, struct rte_ether_addr *mac)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (l->static_entries, i, entry) {
		struct ip_addr a;

		if (ip_addr_parse(json_string_value(json_object_get(entry, "address")), &a) &&
			ip_addr_equal(&a, addr))
			return rte_ether_unformat_addr(
				       json_string_value(json_object_get(entry, "mac")), mac) == 0;
	}
	return false;
}

void neighbour_add(struct neighbour_link *l, struct neighbour *n, uint32_t now_ms)
{
	struct neighbour **head = &l->buckets[hash(&n->addr) % NEIGHBOUR_BUCKETS];

	n->next = *head;
	*head = n;
	LIST_INSERT_HEAD(&l->all, n, link);
	l->made++;
	n->doubted = false;
	enter(n, NEIGHBOUR_INCOMPLETE, now_ms);
	if (find_static(l, &n->addr, &n->mac))
		n->state = NEIGHBOUR_FIXED;
	else
		ask(l, n, true, now_ms);
}

void neighbour_remove(struct neighbour_link *l, struct neighbour *n)
{
	struct neighbour **at = &l->buckets[hash(&n->addr) % NEIGHBOUR_BUCKETS];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	LIST_REMOVE(n, link);
}

void neighbour_told(struct neighbour_link *l, const struct ip_addr *addr,
	const struct rte_ether_addr *mac, enum neighbour_trust trust, uint32_t now_ms)
{
	struct neighbour *n = neighbour_find(l, addr);
	struct rte_ether_addr configured;

	if (n == NULL || find_static(l, addr, &configured))
		return;
	if (n->state == NEIGHBOUR_FIXED && trust != NEIGHBOUR_TRUST_FIXED)
		enter(n, NEIGHBOUR_STALE, now_ms);
	if (trust == NEIGHBOUR_TRUST_HINT ? !neighbour_has_mac(n) : trust != NEIGHBOUR_TRUST_NONE)
		learn(l, n, mac, trust != NEIGHBOUR_TRUST_HINT, now_ms);
	if (trust == NEIGHBOUR_TRUST_FIXED)
		n->state = NEIGHBOUR_FIXED;
	n->doubted = false;
}

void neighbour_told_begin(struct neighbour_link *l)
{
	struct rte_ether_addr configured;
	struct neighbour *n;

	LIST_FOREACH (n, &l->all, link)
		n->doubted = n->state == NEIGHBOUR_FIXED && !find_static(l, &n->addr, &configured);
}

void neighbour_told_end(struct neighbour_link *l, uint32_t now_ms)
{
	struct neighbour *n;

	LIST_FOREACH (n, &l->all, link) {
		if (n->doubted)
			enter(n, NEIGHBOUR_STALE, now_ms);
		n->doubted = false;
	}
}

void neighbour_link_set_mac(struct neighbour_link *l, const struct rte_ether_addr *mac)
{
	struct neighbour *n;

	l->own_mac = *mac;
	LIST_FOREACH (n, &l->all, link)
		l->ops->publish(n, neighbour_has_mac(n));
}

void neighbour_link_doubt(struct neighbour_link *l, uint32_t now_ms)
{
	struct neighbour *n;

	LIST_FOREACH (n, &l->all, link) {
		if (n->state == NEIGHBOUR_REACHABLE)
			enter(n, NEIGHBOUR_STALE, now_ms);
		if (n->state != NEIGHBOUR_FIXED)
			n->due_ms = now_ms;
	}
}

static void announce_once(const struct neighbour_link *l)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];

	for (int v6 = 0; v6 < 2; v6++)
		if (is_given(&l->own[v6]))
			control_send(l->out, frame,
				neighbour_write_announcement(frame, &l->own[v6], &l->own_mac));
}

void neighbour_link_announce(struct neighbour_link *l, uint32_t now_ms)
{
	l->announcement.left = NEIGHBOUR_ANNOUNCEMENTS;
	l->announcement.due_ms = now_ms;
}

static void announcement_tick(struct neighbour_link *l, uint32_t now_ms)
{
	if (l->announcement.left == 0 || !is_due(l->announcement.due_ms, now_ms))
		return;
	announce_once(l);
	l->announcement.left--;
	l->announcement.due_ms = now_ms + RETRY_MS;
}

/* RFC 4861 7.2.5. */
static void receive_answer(struct neighbour_link *l, struct neighbour *n,
	const struct neighbour_message *msg, uint32_t now_ms)
{
	if (!msg->has_mac) {
		if (neighbour_has_mac(n) && msg->solicited)
			learn(l, n, &n->mac, true, now_ms);
		return;
	}
	if (neighbour_has_mac(n) && !msg->override && !rte_is_same_ether_addr(&n->mac, &msg->mac)) {
		if (n->state == NEIGHBOUR_REACHABLE)
			enter(n, NEIGHBOUR_STALE, now_ms);
		return;
	}
	learn(l, n, &msg->mac, msg->solicited, now_ms);
}

static void receive_request(const struct neighbour_link *l, const struct neighbour_message *msg)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	bool v6 = msg->v6;

	if (l->silent[v6] || !is_given(&l->own[v6]) || !ip_addr_equal(&msg->target, &l->own[v6]))
		return;
	/* When the ring is full the asker asks again. */
	control_send(l->out, frame, neighbour_write_answer(frame, &l->own_mac, msg));
}

static void report_conflict(const struct neighbour_link *l, const struct neighbour_message *msg)
{
	static struct log_limit limit = LOG_LIMIT(3, 60);
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[NET_ADDR_TEXT];

	rte_ether_format_addr(mac, sizeof(mac), &msg->from);
	log_warn_limited(&limit, "somebody else uses an address of this node",
		LOG_STR("network", l->name),
		LOG_STR("address", ip_addr_format(&msg->subject, text)), LOG_STR("mac", mac));
}

void neighbour_link_receive(
	struct neighbour_link *l, const uint8_t *frame, uint16_t len, uint32_t now_ms)
{
	struct neighbour_message msg;
	struct neighbour *n;

	if (!neighbour_parse(frame, len, &msg) || rte_is_same_ether_addr(&msg.from, &l->own_mac))
		return;
	if (msg.has_subject && neighbour_is_own(l, &msg.subject)) {
		report_conflict(l, &msg);
		return;
	}
	n = msg.has_subject ? neighbour_find(l, &msg.subject) : NULL;
	if (n != NULL && n->state == NEIGHBOUR_FIXED)
		n = NULL;
	if (n != NULL && msg.request && msg.has_mac)
		learn(l, n, &msg.mac, false, now_ms);
	else if (n != NULL && !msg.request)
		receive_answer(l, n, &msg, now_ms);
	if (msg.request)
		receive_request(l, &msg);
}

/* Asked long enough ago to be asked again. */
static bool may_ask(const struct neighbour *n, uint32_t now_ms)
{
	return is_due(n->asked_ms + RETRY_MS, now_ms);
}

static void retry_failed(struct neighbour_link *l, struct neighbour *n, uint32_t now_ms)
{
	unsigned int doublings;

	if (!is_due(n->due_ms, now_ms) && !(may_ask(n, now_ms) && l->ops->wanted(n)))
		return;
	if (!ask(l, n, true, now_ms))
		return;
	doublings = RTE_MIN(n->asked, n->pace->backoff_max);
	n->due_ms = now_ms + (RETRY_MS << doublings);
	n->asked = (uint8_t)doublings;
}

void neighbour_want(struct neighbour_link *l, struct neighbour *n, uint32_t now_ms)
{
	if (n->state == NEIGHBOUR_FAILED && may_ask(n, now_ms))
		ask(l, n, true, now_ms);
}

static void turn(struct neighbour_link *l, struct neighbour *n, uint32_t now_ms)
{
	unsigned int direct = n->pace->stale_tries - n->pace->tries;

	if (n->state == NEIGHBOUR_FIXED)
		return;
	if (n->state == NEIGHBOUR_FAILED) {
		retry_failed(l, n, now_ms);
		return;
	}
	if (!is_due(n->due_ms, now_ms))
		return;
	if (n->state == NEIGHBOUR_REACHABLE)
		enter(n, NEIGHBOUR_STALE, now_ms);
	if (n->asked >= (n->state == NEIGHBOUR_STALE ? n->pace->stale_tries : n->pace->tries))
		fail(l, n, now_ms);
	else
		ask(l, n, n->state == NEIGHBOUR_INCOMPLETE || n->asked >= direct, now_ms);
}

void neighbour_link_tick(struct neighbour_link *l, uint32_t now_ms)
{
	struct neighbour *n, *next;

	announcement_tick(l, now_ms);
	for (n = LIST_FIRST(&l->all); n != NULL; n = next) {
		next = LIST_NEXT(n, link);
		turn(l, n, now_ms);
	}
}
