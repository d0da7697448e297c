/* SPDX-License-Identifier: Apache-2.0 */
/* Node `curfew_dhcp6`, in the place of vpc/dhcp6_node.c: a kind of frame has one node. DHCPv6 is heard and not answered. A
 * service is a function from a frame to what becomes of it; the macro makes a node of it and attaches that to its kind. */
#include "vpc/service_node.h"

static enum service_result listen(struct service *s)
{
	if (s->vnic == NULL)
		return service_drop(s, DROP_WRONG_VTEP); /* from a tunnel: its own host serves it */
	return SERVICE_CONSUMED;
}

SERVICE_NODE(curfew_dhcp6, CLASSIFY_DHCP6, listen)
