/* SPDX-License-Identifier: Apache-2.0 */
/* Next hops of the outside networks: gateways, and machines on the link that somebody sends to.
 *
 * Gateways are there from the start and asked every second; the first of the list that answers is used. Others come when the
 * first packet wants to go there and go when they do not answer. How many there are is bounded, and how many are made a second:
 * a tenant that scans a network on the link makes neither a flood of requests nor a full table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/control.h"
#include "core/node.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "external/external_internal.h"
#include "neighbour/neighbour.h"
#include "neighbour/neighbour_wire.h"
#include "session/session.h"

#define HEADS 4096u
#define GATEWAYS_MAX 8u         /* of a family */
#define NEW_A_SECOND 200u       /* hops of a network */
#define ASKS_A_MS 32u           /* of a worker */
#define FORGET_MS 2000u         /* one that has never answered, after it has failed */
#define FORGET_KNOWN_MS 600000u /* … that once did */

struct hop {
	struct neighbour neighbour; /* first. Control thread */
	struct external *ext;
	epoch_slot_t epoch;      /* bumped when `mac` changes */
	_Atomic uint64_t mac;    /* 0: never known; stays when it does not answer any more */
	_Atomic uint64_t former; /* what `mac` was before; 0: nothing */
	_Atomic bool alive;      /* it is known to be there */
	_Atomic bool asking; /* nothing is known yet. The four are written by the control thread */
	_Atomic bool
		wanted; /* a packet was for it while it was not alive. Set by workers, cleared by the control thread */
	bool gateway;  /* never forgotten */
	bool fixed;    /* by external_hop_set() */
	bool reported; /* as down; gateways */
	uint32_t lost_ms;
	struct hop *_Atomic next; /* of the same hash */
};

/* Of a network; never freed. */
struct external_hops {
	struct neighbour_link link;
	struct hop *gateways[2][GATEWAYS_MAX];
	_Atomic uint32_t n_gateways[2];
	struct hop *_Atomic way[2]; /* the gateway in use; NULL: none has ever answered */
	/* Control thread. */
	bool started;
	unsigned int n_learnt;
	uint32_t tokens, filled_ms;
};

static struct hop *_Atomic heads[HEADS];

/* --- any thread --- */

static struct hop *_Atomic *head_of(const struct external *ext, const struct ip_addr *addr)
{
	return &heads[(session_fold(addr) ^ ext->index * 0x9e3779b9u) % HEADS];
}

static struct hop *hop_find(const struct external *ext, const struct ip_addr *addr)
{
	struct hop *h = rcu_ptr_get(*head_of(ext, addr));

	while (h != NULL && (h->ext != ext || !ip_addr_equal(&h->neighbour.addr, addr)))
		h = rcu_ptr_get(h->next);
	return h;
}

static uint64_t mac_bits(const struct rte_ether_addr *mac)
{
	uint64_t bits = 0;

	memcpy(&bits, mac, sizeof(*mac));
	return bits;
}

static struct rte_ether_addr mac_of(const struct hop *h)
{
	uint64_t bits = atomic_load_explicit(&h->mac, memory_order_acquire);
	struct rte_ether_addr mac;

	memcpy(&mac, &bits, sizeof(mac));
	return mac;
}

static bool is_alive(const struct hop *h)
{
	return atomic_load_explicit(&h->alive, memory_order_acquire);
}

static bool is_on_link(const struct external *ext, const struct ip_addr *dst)
{
	bool v6 = !ip_addr_is_v4(dst);

	return ip_prefix_contains(&external_family(ext, v6)->prefix, dst) ||
	       (v6 && ip_addr_is_link_local(dst));
}

/* A packet wants to go to `dst`: the control thread asks for it. */
static void tell_control(const struct external *ext, const struct ip_addr *dst)
{
	static __thread struct {
		uint32_t ms, n;
	} told;
	struct rte_mbuf *m;

	if (told.ms != worker_self->now_ms) {
		told.ms = worker_self->now_ms;
		told.n = 0;
	}
	if (told.n++ >= ASKS_A_MS || (m = node_generate()) == NULL)
		return;
	pkt_of(m)->in = loc_port(ext->port->index);
	memcpy(rte_pktmbuf_append(m, sizeof(*dst)), dst, sizeof(*dst));
	control_punt(m, CONTROL_EXTERNAL_HOP);
}

static void ask_for(struct external *ext, struct hop *h, const struct ip_addr *dst)
{
	if (h != NULL) {
		if (!atomic_load_explicit(&h->wanted, memory_order_relaxed))
			atomic_store_explicit(&h->wanted, true, memory_order_relaxed);
	} else if (worker_self != NULL) {
		tell_control(ext, dst);
	} else {
		external_hop_want(ext, dst, external_now_ms());
	}
}

bool external_hop(
	struct external *ext, const struct ip_addr *dst, bool last, struct external_hop *to)
{
	bool v6 = !ip_addr_is_v4(dst), on_link = is_on_link(ext, dst);
	struct hop *h = on_link ? hop_find(ext, dst) : rcu_ptr_get(ext->hops->way[v6]);

	if (h != NULL && (is_alive(h) || (last && h->mac != 0))) {
		to->mac = mac_of(h);
		to->epoch = on_link ? h->epoch : ext->way[v6];
		return true;
	}
	if (on_link) /* gateways are asked in any case */
		ask_for(ext, h, dst);
	return false;
}

bool external_way(const struct external *ext, bool v6, struct external_hop *to)
{
	const struct hop *h = rcu_ptr_get(ext->hops->way[v6]);

	if (h == NULL || !is_alive(h))
		return false;
	to->mac = mac_of(h);
	to->epoch = ext->way[v6];
	return true;
}

bool external_hop_may_answer(const struct external *ext, const struct ip_addr *dst)
{
	const struct hop *h;

	if (!is_on_link(ext, dst))
		return false;
	h = hop_find(ext, dst);
	return h == NULL || atomic_load_explicit(&h->asking, memory_order_relaxed);
}

/* The gateway that has the MAC, or had it before the one that it has; one that answers rather than one that does not. */
static const struct hop *gateway_of(const struct external *ext, bool v6, uint64_t mac)
{
	uint32_t n = atomic_load_explicit(&ext->hops->n_gateways[v6], memory_order_acquire);
	const struct hop *found = NULL;

	for (uint32_t i = 0; i < n; i++) {
		const struct hop *h = ext->hops->gateways[v6][i];
		uint64_t now = atomic_load_explicit(&h->mac, memory_order_acquire);

		if (now == mac && is_alive(h))
			return h;
		if (now == mac || atomic_load_explicit(&h->former, memory_order_relaxed) == mac)
			found = found == NULL || is_alive(h) ? h : found;
	}
	return found;
}

/* Who is on the link, and known, is where it says. */
static bool moved(const struct external *ext, const struct ip_addr *src, struct external_hop *to)
{
	const struct hop *h = is_on_link(ext, src) ? hop_find(ext, src) : NULL;

	if (h == NULL || !is_alive(h))
		return false;
	to->mac = mac_of(h);
	to->epoch = h->epoch;
	return true;
}

bool external_way_back(const struct external *ext, const struct ip_addr *src,
	const struct rte_ether_addr *mac, struct external_hop *to)
{
	bool v6 = !ip_addr_is_v4(src);
	const struct hop *h;

	if (moved(ext, src, to))
		return true;
	h = gateway_of(ext, v6, mac_bits(mac));
	if (h == NULL)
		return false;
	if (!is_alive(h))
		return external_way(ext, v6, to);
	to->mac = mac_of(h);
	to->epoch = ext->way[v6];
	return true;
}

bool external_hop_concerns(const struct external *ext, const struct neighbour_message *msg)
{
	const struct hop *h;

	if (!msg->has_subject)
		return false;
	if (external_is_own(ext, &msg->subject))
		return true;
	h = hop_find(ext, &msg->subject);
	return h != NULL && (!msg->request || mac_bits(&msg->mac) != h->mac);
}

/* --- control thread --- */

static struct hop *hop_of(const struct neighbour *n)
{
	return (struct hop *)(uintptr_t)n;
}

/* The first gateway that answers; while none does, the one that did last. */
static struct hop *choose(const struct external_hops *hops, bool v6)
{
	for (uint32_t i = 0; i < hops->n_gateways[v6]; i++)
		if (is_alive(hops->gateways[v6][i]))
			return hops->gateways[v6][i];
	return hops->way[v6];
}

/* Something is new about a gateway: flows by it, and those that came by it, are asked again. */
static void gateway_changed(struct hop *h)
{
	bool v6 = !ip_addr_is_v4(&h->neighbour.addr);
	struct hop *best = choose(h->ext->hops, v6);

	rcu_ptr_set(h->ext->hops->way[v6], best);
	epoch_bump(h->ext->way[v6]);
}

static void publish(struct neighbour *n, bool known)
{
	struct hop *h = hop_of(n);
	bool was_alive = h->alive, changed = known && h->mac != mac_bits(&n->mac);

	if (changed) {
		atomic_store_explicit(&h->former, h->mac, memory_order_relaxed);
		atomic_store_explicit(&h->mac, mac_bits(&n->mac), memory_order_release);
	}
	atomic_store_explicit(&h->asking, false, memory_order_relaxed);
	atomic_store_explicit(&h->alive, known, memory_order_release);
	if (changed)
		epoch_bump(h->epoch);
	if (h->gateway && (changed || was_alive != known))
		gateway_changed(h);
	if (known)
		external_wait_over();
}

static void report_gateway(struct hop *h, bool up)
{
	char text[NET_ADDR_TEXT];

	if (!h->gateway || h->reported == !up)
		return;
	h->reported = !up;
	rpc_event(up ? "info" : "warning", "node", node_config.node,
		up ? "external_gateway_up" : "external_gateway_down", "gateway %s of network %s %s",
		ip_addr_format(&h->neighbour.addr, text), h->ext->name,
		up ? "answers again" : "does not answer");
}

static void lost(struct neighbour *n)
{
	struct hop *h = hop_of(n);

	atomic_store_explicit(&h->asking, false, memory_order_relaxed);
	h->lost_ms = external_now_ms();
	report_gateway(h, false);
}

static void found(struct neighbour *n)
{
	report_gateway(hop_of(n), true);
}

static bool wanted(const struct neighbour *n)
{
	return atomic_load_explicit(&hop_of(n)->wanted, memory_order_relaxed);
}

static void asked(struct neighbour *n)
{
	atomic_store_explicit(&hop_of(n)->wanted, false, memory_order_relaxed);
}

static const struct neighbour_ops ops = {
	.publish = publish, .lost = lost, .found = found, .wanted = wanted, .asked = asked};

struct external_hops *external_hops_new(struct external *ext)
{
	struct external_hops *hops = calloc(1, sizeof(*hops));

	if (hops == NULL)
		return NULL;
	hops->link.name = ext->name;
	hops->link.own[0] = ext->v4.address;
	hops->link.own[1] = ext->v6.address;
	hops->link.out = loc_port(ext->port->index);
	/* Workers answer, for services too. */
	hops->link.silent[0] = hops->link.silent[1] = true;
	hops->link.ops = &ops;
	return hops;
}

void external_hops_set_mac(struct external *ext, const struct rte_ether_addr *mac)
{
	if (!rte_is_same_ether_addr(&ext->hops->link.own_mac, mac))
		neighbour_link_set_mac(&ext->hops->link, mac);
}

void external_hops_static(struct external *ext, const json_t *entries)
{
	ext->hops->link.static_entries = entries;
}

static struct hop *hop_new(
	struct external *ext, const struct ip_addr *addr, const struct neighbour_pace *pace)
{
	struct hop *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->ext = ext;
	h->epoch = epoch_take();
	h->asking = true;
	h->neighbour.addr = *addr;
	h->neighbour.pace = pace;
	if (h->epoch != EPOCH_NO_SLOT)
		return h;
	free(h);
	return NULL;
}

static void hop_link(struct hop *h)
{
	struct hop *_Atomic *head = head_of(h->ext, &h->neighbour.addr);

	h->next = *head;
	rcu_ptr_set(*head, h);
}

/* Into the table and among those that are kept fresh. */
static void hop_start(struct hop *h, uint32_t now_ms)
{
	neighbour_add(&h->ext->hops->link, &h->neighbour, now_ms);
	if (h->neighbour.state == NEIGHBOUR_FIXED)
		publish(&h->neighbour, true);
}

static void hop_forget(struct hop *h)
{
	struct hop *_Atomic *at = head_of(h->ext, &h->neighbour.addr);

	while (*at != h)
		at = &(*at)->next;
	rcu_ptr_set(*at, h->next);
	neighbour_remove(&h->ext->hops->link, &h->neighbour);
	h->ext->hops->n_learnt--;
	epoch_free(h->epoch);
	rcu_defer(free, h);
}

static int gateway_put(struct external *ext, bool v6, struct hop *h)
{
	struct external_hops *hops = ext->hops;
	uint32_t n = hops->n_gateways[v6];

	if (n == GATEWAYS_MAX)
		return -ENOSPC;
	h->gateway = true;
	hops->gateways[v6][n] = h;
	atomic_store_explicit(&hops->n_gateways[v6], n + 1, memory_order_release);
	return 0;
}

int external_gateway_add(struct external *ext, const struct ip_addr *addr)
{
	struct hop *h = hop_new(ext, addr, &neighbour_pace_watched);
	int rc = h != NULL ? gateway_put(ext, !ip_addr_is_v4(addr), h) : -ENOMEM;

	if (rc == 0)
		hop_link(h);
	else
		free(h);
	return rc;
}

void external_hops_start(struct external *ext, uint32_t now_ms)
{
	struct external_hops *hops = ext->hops;

	neighbour_link_announce(&hops->link, now_ms);
	if (hops->started) {
		neighbour_link_doubt(&hops->link, now_ms);
		return;
	}
	hops->started = true;
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint32_t i = 0; i < hops->n_gateways[v6]; i++)
			if (!hops->gateways[v6][i]->fixed)
				hop_start(hops->gateways[v6][i], now_ms);
}

static bool may_make(struct external_hops *hops, uint32_t now_ms)
{
	uint64_t tokens = hops->tokens + (uint64_t)(now_ms - hops->filled_ms) * NEW_A_SECOND;

	hops->filled_ms = now_ms;
	hops->tokens = (uint32_t)RTE_MIN(tokens, (uint64_t)NEW_A_SECOND * 1000);
	if (hops->tokens < 1000)
		return false;
	hops->tokens -= 1000;
	return true;
}

/* A full table forgets who has never answered: the one that was asked for first. */
static bool make_room(struct external_hops *hops)
{
	struct neighbour *n;
	struct hop *oldest = NULL;

	if (hops->n_learnt < EXTERNAL_HOPS_MAX)
		return true;
	LIST_FOREACH (n, &hops->link.all, link) /* the newest are in front */
		if (!hop_of(n)->gateway && hop_of(n)->mac == 0)
			oldest = hop_of(n);
	if (oldest != NULL)
		hop_forget(oldest);
	return oldest != NULL;
}

void external_hop_want(struct external *ext, const struct ip_addr *addr, uint32_t now_ms)
{
	struct hop *h = hop_find(ext, addr);

	if (h != NULL) {
		if (!h->fixed && (!h->gateway || ext->hops->started))
			neighbour_want(&ext->hops->link, &h->neighbour, now_ms);
		return;
	}
	if (!is_on_link(ext, addr) || !external_has(ext, !ip_addr_is_v4(addr)) ||
		!may_make(ext->hops, now_ms) || !make_room(ext->hops) ||
		(h = hop_new(ext, addr, &neighbour_pace_usual)) == NULL)
		return;
	ext->hops->n_learnt++;
	hop_link(h);
	hop_start(h, now_ms);
}

void external_hops_receive(
	struct external *ext, const uint8_t *frame, uint16_t len, uint32_t now_ms)
{
	neighbour_link_receive(&ext->hops->link, frame, len, now_ms);
}

static bool is_forgotten(const struct hop *h, uint32_t now_ms)
{
	uint32_t after_ms = h->mac != 0 ? FORGET_KNOWN_MS : FORGET_MS;

	return !h->gateway && h->neighbour.state == NEIGHBOUR_FAILED && !h->wanted &&
	       now_ms - h->lost_ms > after_ms;
}

void external_hops_tick(struct external *ext, uint32_t now_ms)
{
	struct external_hops *hops = ext->hops;
	struct neighbour *n, *next;

	if (ext->port->state != PORT_ACTIVE)
		return;
	neighbour_link_tick(&hops->link, now_ms);
	for (n = LIST_FIRST(&hops->link.all); n != NULL; n = next) {
		next = LIST_NEXT(n, link);
		if (is_forgotten(hop_of(n), now_ms))
			hop_forget(hop_of(n));
	}
}

static const char *gateway_state(const struct external *ext, bool v6, const struct hop *h)
{
	if (h->asking)
		return "unknown";
	if (!h->alive || ext->port->state != PORT_ACTIVE)
		return "down";
	return ext->hops->way[v6] == h ? "active" : "standby";
}

json_t *external_gateways_json(const struct external *ext)
{
	char text[NET_ADDR_TEXT], mac[NET_MAC_TEXT];
	json_t *list = json_array();

	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint32_t i = 0; i < ext->hops->n_gateways[v6]; i++) {
			const struct hop *h = ext->hops->gateways[v6][i];
			struct rte_ether_addr a = mac_of(h);

			external_mac_format(&a, mac);
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s?}", "address",
					      ip_addr_format(&h->neighbour.addr, text), "state",
					      gateway_state(ext, v6, h), "mac",
					      h->mac != 0 ? mac : NULL));
		}
	return list;
}

/* --- by hand --- */

static struct hop *fixed_find(const struct external *ext, bool v6, const struct ip_addr *addr)
{
	if ((addr->q[0] | addr->q[1]) != 0)
		return hop_find(ext, addr);
	for (uint32_t i = 0; i < ext->hops->n_gateways[v6]; i++)
		if (ext->hops->gateways[v6][i]->fixed)
			return ext->hops->gateways[v6][i];
	return NULL;
}

static int fixed_put(
	struct external *ext, bool v6, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
	struct hop *h = fixed_find(ext, v6, addr);
	bool everything = (addr->q[0] | addr->q[1]) == 0;
	int rc = 0;

	if (h == NULL) {
		h = hop_new(ext, addr, &neighbour_pace_usual);
		if (h == NULL)
			return -ENOSPC;
		h->fixed = true;
		rc = everything ? gateway_put(ext, v6, h) : 0;
		if (rc == 0 && !everything)
			hop_link(h);
	}
	if (rc != 0) {
		free(h);
		return rc;
	}
	h->neighbour.mac = *mac;
	/* Which family it is the way of can not be read from an address of zeroes. */
	if (everything)
		h->neighbour.addr = v6 ? (struct ip_addr){.q = {0}} : ip_addr_from_v4(0);
	publish(&h->neighbour, true);
	return 0;
}

int external_hop_set(
	struct external *ext, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
	int rc;

	if ((addr->q[0] | addr->q[1]) != 0)
		return fixed_put(ext, !ip_addr_is_v4(addr), addr, mac);
	rc = fixed_put(ext, false, addr, mac);
	return rc == 0 ? fixed_put(ext, true, addr, mac) : rc;
}
