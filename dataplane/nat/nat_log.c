/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_log.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring_elem.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "lib/log.h"
#include "nat/nat_gateway.h"
#include "nat/nat_hold.h"

#define RING_SIZE 16384u
#define BATCH 256u
#define BATCHES 8u /* at most a turn */

/* Numbers of RFC 8158 section 4.3. */
enum nat_event {
	SESSION44_CREATED = 4,
	SESSION44_ENDED = 5,
	SESSION64_CREATED = 6,
	SESSION64_ENDED = 7,
	BLOCK_LEASED = 16,
	BLOCK_RETURNED = 17,
};

struct entry {
	uint32_t ms;
	uint16_t gateway;
	uint8_t event;
	uint8_t proto;
	struct ip_addr inside, outside, remote;
	rte_be16_t inside_port, remote_port;
	uint16_t from, to; /* outside ports */
};
_Static_assert(sizeof(struct entry) == 64, "an element of the ring");

static struct rte_ring *ring;
static _Atomic uint64_t lost;
static uint64_t lost_told;
static bool complained;

int nat_log_init(void)
{
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct entry), RING_SIZE);
	struct rte_ring *r;

	if (ring != NULL)
		return 0;
	r = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));
	if (r == NULL ||
		rte_ring_init(r, "nat_log", RING_SIZE, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ) != 0) {
		free(r);
		return -ENOMEM;
	}
	__atomic_store_n(&ring, r, __ATOMIC_RELEASE);
	return 0;
}

static void put(struct entry *e)
{
	struct rte_ring *r = __atomic_load_n(&ring, __ATOMIC_ACQUIRE);

	e->ms = worker_self != NULL ? worker_self->now_ms : clock_ms();
	if (r == NULL || rte_ring_enqueue_elem(r, e, sizeof(*e)) != 0)
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
}

static bool logs(uint16_t gateway, enum nat_logging at_least)
{
	const struct nat_gateway *gw = nat_gateway_at(gateway);
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;

	return rules != NULL && rules->log >= at_least;
}

void nat_log_block(const struct nat_address *a, enum nat_space space, uint32_t host, uint16_t from,
	uint16_t to, bool leased)
{
	static const uint8_t protos[NAT_SPACES] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	const struct nat_record *h = nat_record_of(host);
	struct entry e = {.gateway = h->gateway,
		.event = leased ? BLOCK_LEASED : BLOCK_RETURNED,
		.proto = protos[space],
		.inside = h->addr,
		.outside = a->ip,
		.from = from,
		.to = to};

	if (logs(h->gateway, NAT_LOG_BLOCK))
		put(&e);
}

static uint8_t event_of(const struct entry *e, bool begins)
{
	bool from6to4 = !ip_addr_is_v4(&e->inside) && ip_addr_is_v4(&e->outside);

	if (from6to4)
		return begins ? SESSION64_CREATED : SESSION64_ENDED;
	return begins ? SESSION44_CREATED : SESSION44_ENDED;
}

void nat_log_session(const struct nat_record *logged, bool begins)
{
	const struct nat_record *root = nat_hold_root(logged->parent);
	const struct nat_address *a = root != NULL ? nat_address_at(root->address) : NULL;
	struct entry e;

	if (a == NULL)
		return;
	e = (struct entry){.gateway = logged->gateway,
		.proto = logged->proto,
		.inside = logged->addr,
		.outside = a->ip,
		.remote = logged->remote,
		.inside_port = logged->port,
		.remote_port = logged->remote_port,
		.from = rte_be_to_cpu_16(logged->outside)};
	e.event = event_of(&e, begins);
	put(&e);
}

static const char *event_name(uint8_t event)
{
	switch (event) {
	case BLOCK_LEASED:
		return "block_allocated";
	case BLOCK_RETURNED:
		return "block_released";
	case SESSION44_CREATED:
	case SESSION64_CREATED:
		return "session_created";
	default:
		return "session_deleted";
	}
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "icmp";
}

static void write_entry(FILE *file, const struct entry *e)
{
	const struct nat_gateway *gw = nat_gateway_at(e->gateway);
	char inside[NET_ADDR_TEXT], outside[NET_ADDR_TEXT], remote[NET_ADDR_TEXT], time[32];

	rpc_time_text(e->ms, time, sizeof(time));
	fprintf(file,
		"{\"time\": \"%s\", \"event\": \"%s\", \"nat_event\": %u, \"nat_gateway\": \"%s\", "
		"\"inside\": \"%s\", \"outside\": \"%s\"",
		time, event_name(e->event), e->event, gw != NULL ? gw->name : "",
		ip_addr_format(&e->inside, inside), ip_addr_format(&e->outside, outside));
	if (e->event >= BLOCK_LEASED)
		fprintf(file, ", \"protocol\": \"%s\", \"port_from\": %u, \"port_to\": %u}\n",
			proto_name(e->proto), e->from, e->to);
	else
		fprintf(file,
			", \"protocol\": \"%s\", \"inside_port\": %u, \"outside_port\": %u, "
			"\"remote\": \"%s\", \"remote_port\": %u}\n",
			proto_name(e->proto), rte_be_to_cpu_16(e->inside_port), e->from,
			ip_addr_format(&e->remote, remote), rte_be_to_cpu_16(e->remote_port));
}

static void complain(int error)
{
	if (complained)
		return;
	complained = true;
	if (node_config.nat_log == NULL)
		log_error("a NAT gateway has a log, but node.yaml names no file: nat_log");
	else
		log_error("the NAT log cannot be written", LOG_STR("path", node_config.nat_log),
			LOG_ERRNO(error));
}

static FILE *open_log(void)
{
	FILE *file = node_config.nat_log != NULL ? fopen(node_config.nat_log, "ae") : NULL;

	if (file == NULL)
		complain(errno);
	else
		complained = false;
	return file;
}

static void write_lost(FILE *file)
{
	uint64_t now = nat_log_lost();
	char time[32];

	if (now == lost_told)
		return;
	rpc_time_text(clock_ms(), time, sizeof(time));
	fprintf(file, "{\"time\": \"%s\", \"event\": \"lost\", \"lines\": %llu}\n", time,
		(unsigned long long)(now - lost_told));
	lost_told = now;
}

void nat_log_turn(void)
{
	struct entry entries[BATCH];
	FILE *file = NULL;
	unsigned int n;

	for (unsigned int i = 0; ring != NULL && i < BATCHES; i++) {
		n = rte_ring_dequeue_burst_elem(ring, entries, sizeof(entries[0]), BATCH, NULL);
		if (n == 0)
			break;
		if (file == NULL && (file = open_log()) == NULL) {
			atomic_fetch_add_explicit(&lost, n, memory_order_relaxed);
			continue;
		}
		for (unsigned int k = 0; k < n; k++)
			write_entry(file, &entries[k]);
	}
	if (file == NULL)
		return;
	write_lost(file);
	if (fclose(file) != 0)
		complain(errno);
}

uint64_t nat_log_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}
