/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <jansson.h>
#include <rte_cycles.h>
#include <rte_graph_worker.h>

#include "core/config.h"
#include "core/control.h"
#include "core/eal.h"
#include "core/epoch.h"
#include "core/node.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/state.h"
#include "core/stats.h"
#include "core/worker.h"
#include "external/external.h"
#include "forward/verdict.h"
#include "fragment/fragment.h"
#include "lb/lb.h"
#include "lib/jsonrpc_client.h"
#include "lib/southbound.h"
#include "mirror/mirror_in.h"
#include "port/port.h"
#include "qos/limit.h"
#include "session/session.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define RING 512

/* A port whose wire is two arrays. */
struct stub {
	struct rte_mbuf *rx[RING], *tx[RING];
	unsigned int n_rx, n_tx, tx_read;
};

static struct graph_wire wire = {.workers = 1};
static uint32_t next_caps;
static struct rte_mbuf *fetched;
static uint32_t time_offset_ms; /* wraps, as workers' clocks do */
static uint64_t passed_ms;      /* the same, whole */
static uint64_t seen_drops[DROP_MAX], seen_any;
static struct event_base *base;

static int stub_open(struct port *port, const struct port_spec *spec)
{
	(void)spec;
	port->caps = next_caps;
	port->n_rx_queues = 1;
	port->rx_fd = -1;
	if (port->role == PORT_UNDERLAY)
		rte_ether_unformat_addr("02:00:00:00:99:01", &port->mac);
	return 0;
}

static void stub_close(struct port *port)
{
	struct stub *s = port->priv;

	rte_pktmbuf_free_bulk(s->rx, s->n_rx);
	rte_pktmbuf_free_bulk(s->tx + s->tx_read, s->n_tx - s->tx_read);
	memset(s, 0, sizeof(*s));
}

static uint16_t stub_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct stub *s = port->priv;
	uint16_t take = (uint16_t)RTE_MIN((unsigned int)n, s->n_rx);

	(void)queue;
	if (wire.rx != NULL)
		return wire.rx(port, pkts, n);
	memcpy(pkts, s->rx, take * sizeof(*pkts));
	for (uint16_t i = 0; i < take; i++) {
		/* Whence it truly came, for check_isolation(). */
		pkts[i]->port = (uint16_t)port->index;
		pkts[i]->dynfield1[0] = port->life;
	}
	s->n_rx -= take;
	memmove(s->rx, s->rx + take, s->n_rx * sizeof(*pkts));
	return take;
}

static bool is_peer(const struct vpc *a, const struct vpc *b)
{
	for (uint32_t i = 0; i < a->n_peers; i++)
		if (a->peers[i] == b->vni)
			return true;
	return false;
}

/* Is its source an address of a service in an outside network? So one VPC reaches another by their outside addresses. */
static bool comes_by_service(const uint8_t *f)
{
	bool v6 = f[12] == 0x86;
	struct ip_addr src;
	rte_be32_t v4;

	memcpy(&v4, f + 26, sizeof(v4));
	src = v6 ? ip_addr_from_v6(f + 22) : ip_addr_from_v4(v4);
	for (uint32_t i = 0; external_at(i) != NULL; i++)
		if (endpoint_get(external_at(i)->scope->index, &src) != NULL)
			return true;
	return false;
}

/* A copy from another node: is the port the target of a mirror? */
static bool is_copy_for(const struct rte_mbuf *m, const struct port *to)
{
	const struct pkt *p = pkt_of((void *)(uintptr_t)m);

	if (!(p->flags & PKT_F_OBSERVED) || p->observed != (OBSERVE_COPY | OBSERVE_NOBODY))
		return false;
	for (struct mirror_in *in = mirror_in_next(NULL); in != NULL; in = mirror_in_next(in))
		if (strcmp(in->where, to->name) == 0)
			return true;
	return false;
}

/* A frame reaches its own VPC or a peer, whatever the packet metadata says. Of a tunnel the VNI says which. */
static void check_isolation(const struct port *to, const struct rte_mbuf *m)
{
	const struct port *from = m->port != RTE_MBUF_PORT_INVALID ? port_get(m->port) : NULL;
	const struct vpc *src, *dst;
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *), *vni;

	if (is_copy_for(m, to))
		return;
	/* Outside networks are everybody's. */
	if (to->role == PORT_EXTERNAL || (from != NULL && from->role == PORT_EXTERNAL))
		return;
	/* A port's index may be another's by now, of what was held here. */
	if (from == NULL || fragment_held() != 0 || from->life != (uint16_t)m->dynfield1[0])
		return;
	src = vpc_get(
		from->role == PORT_TENANT ? from->vpc_index : pkt_of((void *)(uintptr_t)m)->vpc);
	vni = f + (f[12] == 0x86 ? 66 : 46); /* behind an outer IPv6 or IPv4 header */
	dst = to->role == PORT_TENANT ? vpc_get(to->vpc_index)
				      : vpc_by_vni((uint32_t)(vni[0] << 16 | vni[1] << 8 | vni[2]));
	if (src == NULL || dst == NULL ||
		(src != dst && !is_peer(src, dst) &&
			!comes_by_service(to->role == PORT_TENANT ? f : vni + 4)))
		fail_msg("a frame from %s to %s", from->name, to->name);
}

static uint16_t stub_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct stub *s = port->priv;
	uint16_t i;

	(void)queue;
	for (i = 0; wire.tx != NULL && i < n; i++)
		wire.tx(port, pkts[i]);
	if (wire.tx != NULL)
		return n;
	for (i = 0; i < n && s->n_tx < RING; i++) {
		check_isolation(port, pkts[i]);
		s->tx[s->n_tx++] = pkts[i];
	}
	return i;
}

PORT_DRIVER(stub_driver, .type = "stub", .priv_size = sizeof(struct stub), .open = stub_open,
	.close = stub_close, .rx_burst = stub_rx, .tx_burst = stub_tx)
/* As an interface of an outside network: {"ifname": …, "mode": "stub"}. */
PORT_DRIVER(stub_interface, .type = "netdev", .mode = "stub", .priv_size = sizeof(struct stub),
	.open = stub_open, .close = stub_close, .rx_burst = stub_rx, .tx_burst = stub_tx)

/* NULL: closed, or no stub (a network on an interface). */
static struct stub *stub_of(const struct port *p)
{
	return p->driver != NULL && p->driver->rx_burst == stub_rx ? p->priv : NULL;
}

static struct port *port_named(const char *name)
{
	struct port *p = port_by_name(name);

	if (p == NULL)
		fail_msg("no port %s", name);
	return p;
}

void graph_port_caps(uint32_t caps)
{
	next_caps = caps;
}

static const char config_text[] =
	"{\"underlay\": {\"device\": \"stub\", \"address\": \"192.0.2.1/24\", \"address6\": "
	"\"fd00:99::1/64\", \"mtu\": 1600, \"neighbours\": ["
	"{\"address\": \"192.0.2.2\", \"mac\": \"02:00:00:00:99:02\"}, "
	"{\"address\": \"192.0.2.3\", \"mac\": \"02:00:00:00:99:03\"}, "
	"{\"address\": \"fd00:99::2\", \"mac\": \"02:00:00:00:99:02\"}]}}";

static uint32_t sessions = 4096;

static void configure(void)
{
	json_t *root = json_loads(config_text, 0, NULL);

	node_config = (struct node_config){
		.node = "test",
		.n_workers = wire.workers,
		.workers = {0},
		.size_mb = 128,
		.sessions = sessions,
		.endpoints = 1024,
		.ports = 64,
		.vpcs = 64,
		.root = root,
		.underlay = json_object_get(root, "underlay"),
		.eal = json_array(),
	};
}

static void start_underlay(void)
{
	struct port_spec spec = {.type = "stub", .mtu = 1600};
	struct port *p = port_new(GRAPH_UNDERLAY, PORT_UNDERLAY);

	assert_non_null(p);
	assert_int_equal(port_open(p, &spec), 0);
	assert_int_equal(underlay_start_on(p, node_config.underlay, base), 0);
}

void graph_set_sessions(uint32_t capacity)
{
	sessions = capacity;
}

void graph_set_wire(const struct graph_wire *w)
{
	wire = *w;
}

void graph_start(void)
{
	configure();
	base = event_base_new();
	assert_int_equal(eal_start(&node_config), 0);
	assert_int_equal(epoch_init(65536), 0);
	assert_int_equal(worker_init(&node_config), 0);
	assert_int_equal(rcu_init(worker_count), 0);
	assert_int_equal(pool_init(&node_config), 0);
	assert_int_equal(session_init(node_config.sessions), 0);
	assert_int_equal(port_init(node_config.ports), 0);
	assert_int_equal(limit_init(node_config.ports), 0);
	assert_int_equal(vpc_init(node_config.endpoints), 0);
	assert_int_equal(lb_init(), 0);
	assert_int_equal(control_init(base), 0);
	assert_int_equal(graph_init(), 0);
	next_caps = PORT_CAP_MULTI_SEG;
	worker_self = &workers[0];
	start_underlay();
	assert_int_equal(external_start(NULL, base), 0);
}

static int stage(struct state_tx *tx, const char *text,
	int (*fn)(struct state_tx *, const json_t *, struct state_error *), struct state_error *err)
{
	json_t *items = json_loads(text, 0, NULL), *item;
	size_t i;
	int rc = 0;

	if (items == NULL)
		fail_msg("bad JSON: %s", text);
	json_array_foreach (items, i, item)
		if (rc == 0)
			rc = fn(tx, item, err);
	json_decref(items);
	return rc;
}

static int transact(const char *json_items, const char *json_keys, struct state_error *err)
{
	static uint64_t revision;
	struct state_tx *tx = state_begin();
	uint32_t changed;
	int rc = stage(tx, json_items, state_put, err);

	if (rc == 0)
		rc = stage(tx, json_keys, state_del, err);
	if (rc == 0)
		rc = state_commit(tx, ++revision, &changed, err);
	else
		state_abort(tx);
	json_decref(rc != 0 ? err->item : NULL);
	rcu_poll();
	return rc;
}

bool graph_try(const char *json_items, const char *json_keys)
{
	struct state_error err = {.item = NULL};

	return transact(json_items, json_keys, &err) == 0;
}

void graph_both(const char *json_items, const char *json_keys)
{
	struct state_error err = {.item = NULL};

	if (transact(json_items, json_keys, &err) != 0)
		fail_msg("refused: %s", err.reason);
}

void graph_items(const char *json)
{
	graph_both(json, "[]");
}

void graph_delete(const char *json_keys)
{
	graph_both("[]", json_keys);
}

struct rte_mbuf *graph_mbuf(const void *frame, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(workers[0].pool), *rest;
	uint16_t room;

	assert_non_null(m);
	room = RTE_MIN(len, rte_pktmbuf_tailroom(m));
	memcpy(rte_pktmbuf_append(m, room), frame, room);
	if (room < len) { /* as drivers do: the rest in a large one */
		rest = rte_pktmbuf_alloc(workers[0].jumbo_pool);
		assert_non_null(rest);
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(len - room)),
			(const uint8_t *)frame + room, len - room);
		assert_int_equal(rte_pktmbuf_chain(m, rest), 0);
	}
	return m;
}

bool graph_try_send_mbuf(const char *port, struct rte_mbuf *m)
{
	struct port *p = port_by_name(port);
	struct stub *s = p != NULL ? stub_of(p) : NULL;

	if (s == NULL || s->n_rx == RING)
		return false;
	s->rx[s->n_rx++] = m;
	return true;
}

void graph_send_mbuf(const char *port, struct rte_mbuf *m)
{
	assert_true(graph_try_send_mbuf(port, m));
}

void graph_discard_sent(const char *port)
{
	if (port_by_name(port) != NULL && stub_of(port_by_name(port)) != NULL)
		while (graph_sent_mbuf(port) != NULL)
			;
}

void graph_send(const char *port, const void *frame, uint16_t len)
{
	graph_send_mbuf(port, graph_mbuf(frame, len));
}

static uint64_t stopped_tsc; /* 0: the clock goes */
static uint32_t stopped_ms;

void graph_stop_clock(bool stop)
{
	stopped_tsc = stop ? rte_rdtsc() : 0;
	stopped_ms = clock_ms();
}

static void tick(struct worker *w)
{
	uint64_t tsc = stopped_tsc != 0 ? stopped_tsc : rte_rdtsc();
	uint32_t ms = stopped_tsc != 0 ? stopped_ms : clock_ms();

	w->now_tsc = tsc + rte_get_tsc_hz() / 1000 * passed_ms;
	w->now_ms = ms + time_offset_ms;
	w->change = epoch_change();
}

void graph_work(unsigned int worker, bool (*go_on)(void))
{
	struct worker *w = worker_self = &workers[worker];

	rcu_worker_online(worker);
	while (go_on()) {
		tick(w);
		rte_graph_walk(w->graph);
		rcu_worker_quiescent();
	}
	rcu_worker_offline();
}

void graph_run(void)
{
	struct worker *w = &workers[0];
	uint64_t before;

	if (fetched != NULL)
		rte_pktmbuf_free(fetched);
	fetched = NULL;
	rcu_worker_online(0);
	do {
		before = w->count.received + w->count.generated + w->count.sent;
		tick(w);
		rte_graph_walk(w->graph);
		rcu_worker_quiescent();
	} while (w->count.received + w->count.generated + w->count.sent != before);
	rcu_worker_offline();
	event_base_loop(base, EVLOOP_NONBLOCK);
	rcu_poll();
}

static void ask_again(uint32_t index)
{
	verdict_refresh(index);
}

void graph_pass_time(uint32_t ms)
{
	time_offset_ms += ms;
	passed_ms += ms;
	session_sweep(UINT32_MAX / 2, clock_ms() + time_offset_ms, ask_again);
	lb_turn(clock_ms() + time_offset_ms);
}

struct rte_mbuf *graph_sent_mbuf(const char *port)
{
	struct stub *s = stub_of(port_named(port));

	if (s->tx_read == s->n_tx)
		return NULL;
	if (fetched != NULL)
		rte_pktmbuf_free(fetched);
	fetched = s->tx[s->tx_read++];
	if (s->tx_read == s->n_tx)
		s->tx_read = s->n_tx = 0;
	return fetched;
}

const uint8_t *graph_sent(const char *port, uint16_t *len)
{
	struct rte_mbuf *m = graph_sent_mbuf(port);

	if (m == NULL)
		return NULL;
	assert_int_equal(rte_pktmbuf_linearize(m), 0);
	if (len != NULL)
		*len = (uint16_t)m->pkt_len;
	return rte_pktmbuf_mtod(m, const uint8_t *);
}

unsigned int graph_unfetched(void)
{
	unsigned int n = 0;

	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p)) {
		const struct stub *s = stub_of(p);

		n += s != NULL ? s->n_tx - s->tx_read : 0;
	}
	return n;
}

static bool is_announcement(const uint8_t *f)
{
	return (f[12] == 0x08 && f[13] == 0x06) || (f[12] == 0x86 && f[20] == 58 && f[54] == 136);
}

void graph_forget_announcements(void)
{
	graph_run();
	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p)) {
		const struct stub *s = stub_of(p);

		while (s != NULL && s->tx_read < s->n_tx &&
			is_announcement(rte_pktmbuf_mtod(s->tx[s->tx_read], const uint8_t *)))
			graph_sent_mbuf(p->name);
	}
	graph_dropped_any(); /* to a port that went in the same transaction */
	graph_dropped(DROP_PORT_DOWN);
}

uint64_t graph_dropped(enum drop_reason reason)
{
	uint64_t n = workers[0].count.dropped[reason] - seen_drops[reason];

	seen_drops[reason] += n;
	return n;
}

static uint64_t all_drops(void)
{
	uint64_t n = 0;

	for (unsigned int r = 0; r < DROP_MAX; r++)
		n += workers[0].count.dropped[r];
	return n;
}

uint64_t graph_dropped_any(void)
{
	uint64_t n = all_drops() - seen_any;

	seen_any += n;
	return n;
}

static char refusal[256];
static uint64_t longest_turn_us;

static void answered(const struct jsonrpc_outcome *outcome, void *arg)
{
	json_t **answer = arg;

	snprintf(refusal, sizeof(refusal), "%s", outcome->status != 0 ? outcome->message : "");
	*answer = outcome->status == 0 ? json_incref(outcome->result) : json_null();
}

static struct jsonrpc_client *rpc_client(void)
{
	static char path[64];
	static struct jsonrpc_client *client;
	struct jsonrpc_client_options options = {.ctx = NULL};

	if (client != NULL)
		return client;
	snprintf(path, sizeof(path), "/tmp/vpc-graph-%d.sock", (int)getpid());
	node_config.rpc = path;
	assert_int_equal(rpc_start(base), 0);
	client = jsonrpc_client_new(base, &options);
	assert_int_equal(jsonrpc_client_connect(client, path), 0);
	while (!jsonrpc_client_is_connected(client))
		event_base_loop(base, EVLOOP_ONCE);
	unlink(path); /* nobody else comes */
	return client;
}

static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void turn(void)
{
	uint64_t began = cpu_us(), took;

	event_base_loop(base, EVLOOP_ONCE);
	took = cpu_us() - began;
	longest_turn_us = RTE_MAX(longest_turn_us, took);
}

uint64_t graph_longest_turn_us(void)
{
	uint64_t longest = longest_turn_us;

	longest_turn_us = 0;
	return longest;
}

static json_t *rpc(const char *method, json_t *params)
{
	json_t *answer = NULL;

	jsonrpc_client_call(rpc_client(), method, params, 0, answered, &answer);
	while (answer == NULL)
		turn();
	return answer;
}

json_t *graph_rpc(const char *method, json_t *params)
{
	json_t *answer = rpc(method, params);

	if (refusal[0] != '\0')
		fail_msg("rpc: %s", refusal);
	return answer;
}

const char *graph_rpc_refusal(const char *method, json_t *params)
{
	json_decref(rpc(method, params));
	return refusal[0] != '\0' ? refusal : NULL;
}

uint64_t graph_port_drops(const char *port)
{
	uint32_t owner = drop_owner_port(port_named(port)->index);
	uint64_t n = 0;

	for (unsigned int r = 0; r < DROP_MAX; r++)
		n += workers[0].drops[(size_t)owner * DROP_MAX + r].packets;
	return n;
}

const char *graph_drop_names(void)
{
	static char text[256];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned int r = 1; r < DROP_MAX && at < sizeof(text); r++)
		if (workers[0].count.dropped[r] != seen_drops[r])
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s",
				drop_reason_name((enum drop_reason)r));
	return text;
}

void graph_forget_drops(void)
{
	for (unsigned int r = 0; r < DROP_MAX; r++)
		graph_dropped((enum drop_reason)r);
	graph_dropped_any();
}

unsigned int graph_waiting(const char *port)
{
	const struct port *p = port_by_name(port);
	const struct stub *s = p != NULL ? stub_of(p) : NULL;

	return s != NULL ? s->n_tx - s->tx_read : 0;
}

void graph_expect_sent(const char *port, const struct frame *want)
{
	uint16_t len;
	const uint8_t *got = graph_sent(port, &len);
	const char *wrong;

	if (got == NULL)
		fail_msg("nothing was sent to %s; dropped:%s", port, graph_drop_names());
	assert_int_equal(len, want->len);
	assert_memory_equal(got, want->bytes, want->len);
	wrong = frame_check(got, len);
	if (wrong != NULL)
		fail_msg("%s", wrong);
	assert_int_equal(graph_unfetched(), 0);
}

void graph_expect_pass(
	const char *port, const struct frame *f, const char *to, const struct frame *want)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
	graph_expect_sent(to, want);
}

void graph_expect_dropped(enum drop_reason reason, unsigned int n)
{
	if (graph_unfetched() != 0)
		fail_msg("%u frames were sent; dropped:%s", graph_unfetched(), graph_drop_names());
	if (graph_dropped(reason) != n || graph_dropped_any() != n)
		fail_msg("dropped:%s beside %s", graph_drop_names(), drop_reason_name(reason));
}

/* Where nothing leads the gateway says so to the sender (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1), and only that. */
static void take_unreachable(const char *port)
{
	const uint8_t *got;
	uint16_t len;
	bool v4;

	if (graph_waiting(port) != 1)
		return;
	got = graph_sent(port, &len);
	v4 = got[12] == 8;
	if (len < 62 || got[v4 ? 23 : 20] != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
		memcmp(got + (v4 ? 34 : 54), v4 ? "\3" : "\1", 2) != 0)
		fail_msg("%s was sent something else than that nothing leads there", port);
	assert_null(frame_check(got, len));
}

void graph_expect_drop(const char *port, const struct frame *f, enum drop_reason reason)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
	if (reason == DROP_NO_ROUTE && strcmp(port, GRAPH_UNDERLAY) != 0)
		take_unreachable(port);
	graph_expect_dropped(reason, 1);
}

/* Whatever comes in or is made leaves by one of the named ways. */
void graph_check_conservation(void)
{
	uint64_t in = 0, out = stats_held_count();

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct worker_counters *c = &workers[i].count;

		in += c->received + c->generated;
		out += c->sent + c->consumed;
		for (unsigned int r = 0; r < DROP_MAX; r++)
			out += c->dropped[r];
	}
	assert_int_equal(in, out);
}

static int collect(void *arg, const char *text, size_t size)
{
	json_t *keys = arg, *item = json_loadb(text, size, 0, NULL);

	json_array_append_new(keys, item);
	return 0;
}

/* [kind, columns...] → [kind, key...]. */
static json_t *key_of(const json_t *item)
{
	const struct sb_kind *kind = sb_kind_find(json_string_value(json_array_get(item, 0)));
	json_t *key = json_array();

	for (size_t i = 0; i <= kind->n_key; i++)
		json_array_append(key, json_array_get(item, i));
	return key;
}

/* What is held for its first fragment is dropped in time. */
static void expire_fragments(void)
{
	for (int n = 0; n < 500 && fragment_held() != 0; n++) {
		graph_pass_time(n == 0 ? FRAGMENT_TIMEOUT_MS : 10);
		graph_run();
	}
}

static void end_all(void)
{
	graph_pass_time(100000000);
	assert_int_equal(session_used(), 0);
	while (graph_sent_mbuf(GRAPH_UNDERLAY) != NULL)
		;
	graph_run();
	graph_forget_drops();
	assert_int_equal(pool_in_use(), 0);
}

void graph_settle(void)
{
	graph_run();
	expire_fragments();
	graph_check_conservation();
	end_all();
}

void graph_reset(void)
{
	json_t *items = json_array(), *keys = json_array(), *item;
	char *text;
	size_t i;

	graph_run();
	expire_fragments();
	graph_check_conservation();
	state_each(collect, items);
	json_array_foreach (items, i, item)
		json_array_append_new(keys, key_of(item));
	text = json_dumps(keys, 0);
	graph_delete(text);
	free(text);
	json_decref(items);
	json_decref(keys);
	end_all();
	next_caps = PORT_CAP_MULTI_SEG;
}
