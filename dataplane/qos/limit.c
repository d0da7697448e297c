/* SPDX-License-Identifier: Apache-2.0 */
#include "qos/limit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/worker.h"
#include "port/port.h"

#define TOKEN 1000u /* thousandths: what a rate of 1/s gives in a ms is one */

/* A bucket of a port at a worker. Wrapping clock: whoever pauses for weeks finds it full, or nearly so. */
struct cell {
	uint32_t tokens;
	uint32_t filled_ms; /* 0: never used, so full */
};

static struct cell (*cells[WORKER_MAX])[LIMIT_MAX]; /* [port] */
static uint32_t n_ports;
static _Atomic uint32_t rates[LIMIT_MAX]; /* by one token bucket */

int limit_init(uint32_t ports)
{
	for (unsigned int i = 0; i < worker_count; i++) {
		cells[i] = calloc(ports, sizeof(*cells[i]));
		if (cells[i] == NULL)
			return -ENOMEM;
	}
	n_ports = ports;
	return 0;
}

void limit_set(enum limit kind, uint32_t per_s)
{
	atomic_store_explicit(&rates[kind], RTE_MIN(per_s, LIMIT_MOST), memory_order_relaxed);
}

/* Of the rate of a port that several workers read. */
static uint32_t share(uint32_t per_s, const struct port *port)
{
	uint32_t readers = RTE_MIN((uint32_t)port->n_rx_queues, worker_count);

	return readers > 1 ? RTE_MAX(per_s / readers, 1u) : per_s;
}

static void fill(struct cell *c, uint32_t per_s, uint32_t now_ms)
{
	uint32_t since = now_ms - c->filled_ms, most = per_s * TOKEN;
	uint64_t tokens = (uint64_t)c->tokens + (uint64_t)since * per_s;

	c->tokens = c->filled_ms == 0 || tokens > most ? most : (uint32_t)tokens;
	c->filled_ms = now_ms | (now_ms == 0);
}

bool limit_pass(enum limit kind, loc_t from, uint32_t now_ms)
{
	const struct port *port = loc_is_port(from) ? port_get(loc_index(from)) : NULL;
	uint32_t per_s;
	struct cell *c;

	if (port == NULL || port->index >= n_ports)
		return true;
	if (kind == LIMIT_FLOWS && port->shared_device)
		kind = LIMIT_DEVICE_FLOWS;
	per_s = atomic_load_explicit(&rates[kind], memory_order_relaxed);
	if (per_s == 0)
		return true;
	c = &cells[worker_self->id][port->index][kind];
	per_s = share(per_s, port);
	if (c->filled_ms != now_ms)
		fill(c, per_s, now_ms);
	if (c->tokens < TOKEN)
		return false;
	c->tokens -= TOKEN;
	return true;
}
