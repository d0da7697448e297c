/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include <event2/event.h>
#include <rte_cycles.h>

#include "base/ip_text.h"
#include "core/control.h"
#include "core/rpc.h"
#include "core/stats.h"
#include "core/worker.h"
#include "lib/log.h"
#include "probe/probe_path.h"
#include "probe/probe_wire.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define TICK_MS 100
/* With more peers than that a second each is asked less often. */
#define PROBES_PER_S 1000u

/* What is known about a VTEP; by its index. */
static struct peer {
	struct probe_path path;
	struct ip_addr addr; /* of whom it is about; all zero: nobody */
	bool foreign;
	bool told_down, told_small;
	uint16_t sequence;
	char since[32]; /* of path.since_ms, as text */
	char name[PORT_NAME_MAX];
} peers[VTEPS_MAX];

/* The number that is waited for, by VTEP; 0: none. The control thread sets, a worker takes. */
static _Atomic uint64_t expected[VTEPS_MAX];

static struct event *timer;

bool probe_take(uint32_t vtep_index, uint64_t nonce)
{
	return vtep_index < VTEPS_MAX && nonce != 0 &&
	       atomic_compare_exchange_strong_explicit(&expected[vtep_index], &nonce, 0,
		       memory_order_acquire, memory_order_relaxed);
}

/* --- What is told --- */

static const char *shown_name(const struct peer *p)
{
	return strncmp(p->name, "addr:", 5) == 0 ? p->name + 5 : p->name;
}

static void tell_state(struct peer *p, unsigned int change)
{
	char addr[NET_ADDR_TEXT];

	if (change & (PROBE_CAME_UP | PROBE_WENT_DOWN))
		rpc_time_text(p->path.since_ms, p->since, sizeof(p->since));
	if (change & PROBE_WENT_DOWN) {
		p->told_down = true;
		rpc_event("warning", "node", shown_name(p), "tunnel_down",
			"no answer from %s (%s) to %u probes", shown_name(p),
			ip_addr_format(&p->addr, addr), PROBE_LOST_MAX);
	} else if ((change & PROBE_CAME_UP) && p->told_down) {
		p->told_down = false;
		rpc_event("info", "node", shown_name(p), "tunnel_up", "%s (%s) answers again",
			shown_name(p), ip_addr_format(&p->addr, addr));
	}
}

/* What the largest packets of the VPCs here take on the underlay. */
static uint32_t needed_mtu(bool v6)
{
	uint32_t largest = 0;

	for (uint32_t i = 1; i < VPC_INDEX_MAX; i++) {
		const struct vpc *vpc = vpc_get(i);

		if (vpc != NULL && vpc->vni != 0 && vpc->mtu > largest)
			largest = vpc->mtu;
	}
	return largest == 0 ? 0 : largest + (v6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4);
}

static void tell_mtu(struct peer *p, const uint32_t needed[2])
{
	uint32_t needs = needed[!ip_addr_is_v4(&p->addr)];
	bool small = p->path.path_mtu != 0 && p->path.path_mtu < needs;

	if (small == p->told_small)
		return;
	p->told_small = small;
	rpc_event(small ? "warning" : "info", "node", shown_name(p),
		small ? "mtu_too_small" : "mtu_sufficient",
		"the path to %s carries packets of %u bytes, the VPCs here need %u", shown_name(p),
		p->path.path_mtu, needs);
}

/* --- Sending --- */

static uint64_t new_nonce(void)
{
	uint64_t nonce = 0;

	while (getrandom(&nonce, sizeof(nonce), 0) == (ssize_t)sizeof(nonce) && nonce == 0)
		continue;
	return nonce;
}

static uint16_t smallest(const struct ip_addr *addr)
{
	return ip_addr_is_v4(addr) ? PROBE_SIZE_MIN : PROBE_SIZE_MIN6;
}

/* Of whom nobody knows where to send to, no answer is expected either: it counts as lost. */
static void send_probe(struct peer *p, const struct vtep *v, uint16_t size)
{
	static uint8_t frame[UINT16_MAX + RTE_ETHER_HDR_LEN] __attribute__((aligned(8)));
	const struct vxlan_outer *outer = atomic_load_explicit(&v->outer, memory_order_acquire);
	bool v6 = !ip_addr_is_v4(&v->addr);
	uint64_t nonce = new_nonce();
	uint16_t len;

	if (outer == NULL || underlay_address(v6) == NULL || nonce == 0)
		return;
	atomic_store_explicit(&expected[v->index], nonce, memory_order_release);
	if (!p->foreign) {
		len = probe_write(frame, v6, size, nonce, rte_rdtsc());
		control_send(loc_tunnel(v->index), frame, len);
		return;
	}
	struct probe_echo echo = {
		.own = *underlay_address(v6), .peer = v->addr, .sequence = p->sequence++};

	memcpy(&echo.dmac, outer->bytes, RTE_ETHER_ADDR_LEN);
	memcpy(&echo.smac, outer->bytes + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
	len = probe_echo_write(frame, &echo, size, nonce, rte_rdtsc());
	control_send(LOC_NONE, frame, len);
}

static struct peer *peer_of(const struct vtep *v, uint32_t now_ms)
{
	struct peer *p = &peers[v->index];
	bool foreign = vtep_is_foreign(v);

	if (ip_addr_equal(&p->addr, &v->addr) && strcmp(p->name, v->name) == 0 &&
		p->foreign == foreign)
		return p;
	*p = (struct peer){.addr = v->addr, .foreign = foreign};
	memcpy(p->name, v->name, sizeof(p->name));
	probe_path_start(&p->path, smallest(&v->addr), foreign, now_ms);
	rpc_time_text(now_ms, p->since, sizeof(p->since));
	return p;
}

static void look(const struct vtep *v, uint32_t pause_ms, uint32_t now_ms)
{
	struct peer *p = peer_of(v, now_ms);
	unsigned int change;
	bool due;

	p->path.pause_ms = pause_ms;
	due = probe_path_due(&p->path, underlay_mtu(), now_ms, &change);
	tell_state(p, change);
	if (due)
		send_probe(p, v, p->path.size != 0 ? p->path.size : p->path.min);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	static uint32_t last_count, told_ms;
	uint32_t now_ms = clock_ms(), needed[2], count = 0;
	uint32_t pause_ms = RTE_MAX(PROBE_INTERVAL_MS, last_count * 1000 / PROBES_PER_S);

	(void)fd;
	(void)what;
	(void)arg;
	for (const struct vtep *v = vtep_next(NULL); v != NULL;
		v = vtep_next((struct vtep *)(uintptr_t)v), count++)
		look(v, pause_ms, now_ms);
	last_count = count;
	if (now_ms - told_ms < PROBE_INTERVAL_MS)
		return;
	told_ms = now_ms;
	needed[0] = needed_mtu(false);
	needed[1] = needed_mtu(true);
	for (const struct vtep *v = vtep_next(NULL); v != NULL;
		v = vtep_next((struct vtep *)(uintptr_t)v))
		tell_mtu(peer_of(v, now_ms), needed);
}

/* --- Receiving --- */

static void answered(const uint8_t *data, uint16_t len, loc_t in)
{
	const struct vtep *v = loc_is_tunnel(in) ? vtep_get(loc_index(in)) : NULL;
	struct probe_report report;
	struct peer *p;

	if (v == NULL || len < sizeof(report))
		return;
	memcpy(&report, data, sizeof(report));
	p = peer_of(v, clock_ms());
	tell_state(p, probe_path_answered(&p->path,
			      (uint32_t)RTE_MAX(
				      1.0, (double)report.rtt_tsc * 1e6 / (double)rte_get_tsc_hz()),
			      clock_ms()));
}

int probe_start(struct event_base *base)
{
	struct timeval period = {0, TICK_MS * 1000};

	if (underlay_port() == NULL)
		return 0;
	control_receiver_set(CONTROL_PROBE, answered);
	timer = event_new(base, -1, EV_PERSIST, tick, NULL);
	if (timer != NULL && event_add(timer, &period) == 0)
		return 0;
	log_error("no memory for the probes' timer");
	return -ENOMEM;
}

void probe_stop(void)
{
	if (timer != NULL)
		event_free(timer);
}

/* --- Status --- */

static json_t *positive(uint32_t number)
{
	return number != 0 ? json_integer(number) : json_null();
}

static json_t *tunnel_json(const struct vtep *v)
{
	static const char *const states[] = {
		[PROBE_UNKNOWN] = "unknown", [PROBE_UP] = "up", [PROBE_DOWN] = "down"};
	const struct peer *p = peer_of(v, clock_ms());
	char addr[NET_ADDR_TEXT];
	bool up = p->path.state == PROBE_UP;

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "peer", shown_name(p), "address",
		ip_addr_format(&v->addr, addr), "state", states[p->path.state], "rtt_us",
		positive(up ? p->path.rtt_us : 0), "path_mtu", positive(p->path.path_mtu), "since",
		p->since);
}

static int by_peer(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(json_string_value(json_object_get(*x, "peer")),
		json_string_value(json_object_get(*y, "peer")));
}

/* All of them, by name. */
static json_t *tunnels(void)
{
	json_t *list = json_array(), **items;
	size_t n = 0;

	for (const struct vtep *v = vtep_next(NULL); v != NULL && underlay_port() != NULL;
		v = vtep_next((struct vtep *)(uintptr_t)v))
		n++;
	items = calloc(n + 1, sizeof(*items));
	if (items == NULL)
		return list;
	n = 0;
	for (const struct vtep *v = vtep_next(NULL); v != NULL && underlay_port() != NULL;
		v = vtep_next((struct vtep *)(uintptr_t)v))
		items[n++] = tunnel_json(v);
	qsort(items, n, sizeof(*items), by_peer);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, items[i]);
	free(items);
	return list;
}
STATS_SECTION(tunnels_section, "tunnels", tunnels)

static void list_tunnels(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	jsonrpc_reply(call, json_pack("{s:o}", "items", tunnels()));
}
RPC_METHOD(tunnel_list, "tunnel.list", list_tunnels)
