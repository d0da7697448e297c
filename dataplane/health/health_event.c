/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/ip_text.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "health/health_internal.h"

/* A network that fails takes thousands of back ends with it: so many events, then so many a second. */
#define EVENTS_BURST 100u
#define EVENTS_PER_S 10u

static bool may_tell(unsigned int *silent)
{
	static uint32_t tokens = EVENTS_BURST, refilled_ms, untold;
	uint32_t now_ms = clock_ms(), more = (now_ms - refilled_ms) / (1000 / EVENTS_PER_S);

	if (more > 0) {
		tokens = tokens + more > EVENTS_BURST ? EVENTS_BURST : tokens + more;
		refilled_ms = now_ms;
	}
	if (tokens == 0) {
		untold++;
		return false;
	}
	tokens--;
	*silent = untold;
	untold = 0;
	return true;
}

static const char *where(const struct lb_backend *b, char *text, size_t size)
{
	char addr[NET_ADDR_TEXT];

	snprintf(text, size, ip_addr_is_v4(&b->addr) ? "%s:%u" : "[%s]:%u",
		ip_addr_format(&b->addr, addr), rte_be_to_cpu_16(b->port_number));
	return text;
}

void health_event(const struct health_check *c, enum lb_health before)
{
	const struct lb_backend *b = c->backend;
	bool down = c->rule.state == LB_HEALTH_DOWN;
	char text[NET_ADDR_TEXT + 16], more[80] = "";
	unsigned int silent;

	if ((!down && before != LB_HEALTH_DOWN) || !may_tell(&silent))
		return;
	if (silent > 0)
		snprintf(more, sizeof(more), " (and %u changes of others before)", silent);
	rpc_event(down ? "warning" : "info", "load_balancer", lb_name(b->listener->lb),
		down ? "backend_down" : "backend_up", "listener %s %u: back end %s%s%s is %s: %s%s",
		b->listener->protocol == 6 ? "tcp" : "udp", rte_be_to_cpu_16(b->listener->port),
		b->port_name, b->port_name[0] != '\0' ? ", " : "", where(b, text, sizeof(text)),
		down ? "down" : "up", b->reason, more);
}
