/* SPDX-License-Identifier: Apache-2.0 */
/* Where services' addresses are: told to everybody on the link when one appears on this node, and again when the link was away.
 * Three times, a second apart: a switch may not forward yet (RFC 5227 section 2.3, RFC 4861 section 7.2.6). Thousands of
 * addresses take their turns. */
#include <stdlib.h>
#include <sys/queue.h>

#include "core/control.h"
#include "core/worker.h"
#include "external/external_internal.h"
#include "neighbour/neighbour.h"
#include "neighbour/neighbour_wire.h"

#define A_TICK 100u /* announcements */

struct announcement {
	struct external *ext;
	struct ip_addr addr;
	unsigned int left;
	uint32_t due_ms;
	STAILQ_ENTRY(announcement) next;
};

static STAILQ_HEAD(, announcement) due = STAILQ_HEAD_INITIALIZER(
	due); /* in the order of their times */

void external_announce(struct external *ext, const struct ip_addr *addr)
{
	struct announcement *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return; /* who asks is answered */
	a->ext = ext;
	a->addr = *addr;
	a->left = NEIGHBOUR_ANNOUNCEMENTS;
	a->due_ms = external_now_ms();
	STAILQ_INSERT_HEAD(&due, a, next);
}

static void announce_endpoint(struct endpoint *e, void *arg)
{
	struct external *ext = arg;

	if (e->vpc_index == ext->scope->index && e->service != NULL)
		external_announce(ext, &e->addr);
}

/* What is announced now is announced anew. */
static void forget(const struct external *ext)
{
	struct announcement *a, *next;

	for (a = STAILQ_FIRST(&due); a != NULL; a = next) {
		next = STAILQ_NEXT(a, next);
		if (a->ext != ext)
			continue;
		STAILQ_REMOVE(&due, a, announcement, next);
		free(a);
	}
}

void external_announce_all(struct external *ext)
{
	forget(ext);
	endpoint_each(announce_endpoint, ext);
}

/* It is still there, and the link too. False: the ring is full. */
static bool announce(const struct announcement *a)
{
	const struct endpoint *e = endpoint_get(a->ext->scope->index, &a->addr);
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	uint16_t len;

	if (e == NULL || e->service == NULL || a->ext->port->state != PORT_ACTIVE)
		return true;
	len = neighbour_write_announcement(frame, &a->addr, &a->ext->port->mac);
	return control_send(loc_port(a->ext->port->index), frame, len) == 0;
}

void external_announce_tick(uint32_t now_ms)
{
	struct announcement *a;

	for (unsigned int n = 0; n < A_TICK && (a = STAILQ_FIRST(&due)) != NULL; n++) {
		if ((int32_t)(now_ms - a->due_ms) < 0 || !announce(a))
			return;
		STAILQ_REMOVE_HEAD(&due, next);
		a->due_ms = now_ms + NEIGHBOUR_RETRY_MS;
		if (--a->left > 0)
			STAILQ_INSERT_TAIL(&due, a, next);
		else
			free(a);
	}
}
