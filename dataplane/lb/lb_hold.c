/* SPDX-License-Identifier: Apache-2.0 */
/* What a session holds of a balancer: a connection of a back end. */
#include <netinet/in.h>

#include "core/rcu.h"
#include "lb/lb_internal.h"
#include "session/hold.h"
#include "session/tcp.h"

/* A connection that begins or ends has its own, shorter time. */
static uint32_t timeout_s(uint32_t id, uint8_t proto, uint8_t tcp_state, bool answered)
{
	const struct lb_backend *b = lb_backend_get(id);
	const struct lb_config *config = b != NULL ? rcu_ptr_get(b->listener->config) : NULL;

	(void)answered;
	if (config == NULL || (proto == IPPROTO_TCP && tcp_state != TCP_ESTABLISHED))
		return 0;
	return config->idle_timeout_s;
}

static void release(uint32_t id, uint32_t part)
{
	(void)part;
	lb_connection_closed(id);
}

static const struct session_hold_ops ops = {
	.release = release,
	.timeout_s = timeout_s,
};

HOLD_OWNER(HOLD_LB, &ops)
