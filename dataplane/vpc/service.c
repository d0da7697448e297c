/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service.h"

#include "underlay/underlay.h"
#include "vpc/claim.h"
#include "vpc/vnic.h"
#include "vpc/vpc_internal.h"

static bool gone(struct service *s)
{
	s->reason = DROP_STALE;
	return false;
}

bool service_begin(struct service *s, loc_t in, uint32_t vpc_index)
{
	s->in = in;
	s->port = NULL;
	s->vnic = NULL;
	s->subnet = NULL;
	s->reason = DROP_NONE;
	s->vpc = vpc_get(vpc_index);
	if (s->vpc == NULL)
		return gone(s);
	if (loc_is_tunnel(in))
		return true;
	s->port = port_get(loc_index(in));
	if (s->vpc->external != NULL && s->port != NULL)
		return true;
	s->vnic = s->port != NULL ? vnic_of(s->port) : NULL;
	if (s->vnic == NULL || s->vnic->vpc != s->vpc)
		return gone(s);
	s->subnet = s->vnic->subnet;
	if (!s->port->enabled)
		s->reason = DROP_PORT_DOWN;
	return s->port->enabled;
}

static bool is_zero(const struct ip_addr *addr)
{
	return (addr->q[0] | addr->q[1]) == 0 || (ip_addr_is_v4(addr) && ip_addr_v4(addr) == 0);
}

static bool port_source_ok(
	const struct service *s, const struct rte_ether_addr *smac, const struct ip_addr *src)
{
	if (!s->port->port_security)
		return true;
	return rte_is_same_ether_addr(smac, &s->port->mac) &&
	       (is_zero(src) || vnic_may_use(s->vnic, src));
}

/* As stage `spoof` has it for endpoints; nothing else has business with our gateway. */
static bool tunnel_source_ok(const struct service *s, const struct ip_addr *src)
{
	const struct vtep *vtep = vtep_get(loc_index(s->in));
	const struct endpoint *ep = endpoint_get(s->vpc->index, src);

	if (vtep == NULL)
		return false;
	return vtep->gateway || is_zero(src) || (ep != NULL && ep->where == s->in);
}

bool service_source_ok(
	struct service *s, const struct rte_ether_addr *smac, const struct ip_addr *src)
{
	const struct endpoint *ep;
	bool ok;

	if (s->vpc->external != NULL)
		return true; /* the outside says of itself what it likes */
	if (s->port != NULL) {
		ok = port_source_ok(s, smac, src);
		s->reason = ok ? DROP_NONE : DROP_SPOOFED;
		return ok;
	}
	ok = tunnel_source_ok(s, src);
	s->reason = ok ? DROP_NONE : DROP_WRONG_VTEP;
	ep = endpoint_get(s->vpc->index, src);
	s->subnet = ep != NULL ? ep->subnet : NULL;
	return ok;
}

/* In an outside network: ourselves and our services. */
static const struct rte_ether_addr *outside_owner(
	const struct service *s, const struct ip_addr *target)
{
	const struct endpoint *ep = endpoint_get(s->vpc->index, target);

	return gateway_is(s->vpc, target) || (ep != NULL && ep->service != NULL) ? &s->vpc->gw_mac
										 : NULL;
}

enum drop_reason service_nobody(const struct service *s)
{
	return s->vpc->external != NULL ? DROP_NOT_FOR_US : DROP_NO_ROUTE;
}

const struct rte_ether_addr *service_owner(
	const struct service *s, const struct ip_addr *target, bool *own, bool *is_gateway)
{
	const struct endpoint *ep;

	*own = s->vnic != NULL &&
	       (vnic_owns(s->vnic, target) || ip_addr_equal(target, &s->vnic->link_local));
	*is_gateway = false;
	if (s->vpc->external != NULL)
		return outside_owner(s, target);
	if (*own)
		return NULL;
	*is_gateway = gateway_is(s->vpc, target);
	if (*is_gateway)
		return &s->vpc->gw_mac;
	ep = endpoint_get(s->vpc->index, target);
	if (ep == NULL)
		return NULL;
	*own = ep->where == s->in && s->port == NULL; /* its own host answers */
	if (*own)
		return NULL;
	if (ip_addr_is_link_local(target) && (s->subnet == NULL || ep->subnet != s->subnet))
		return NULL; /* another link's */
	/* The owner of an address in another subnet is reached through the gateway only. */
	if (s->subnet != NULL && ep->subnet != NULL && ep->subnet != s->subnet)
		return &s->vpc->gw_mac;
	/* Into a tunnel only the owner's node answers: a foreign VTEP that asks all of us learns from the
	 * answer where the owner is. */
	*own = s->port == NULL && !loc_is_port(ep->where);
	if (*own)
		return NULL;
	return &ep->mac;
}

bool service_may_take(const struct service *s, const struct ip_addr *addr)
{
	return s->vnic != NULL && vnic_shares(s->vnic, s->vpc->index, addr);
}

void service_announced(const struct service *s, const struct ip_addr *addr)
{
	if (s->vnic != NULL && !is_zero(addr) && !vnic_owns(s->vnic, addr) &&
		!ip_addr_equal(addr, &s->vnic->link_local) && vnic_may_use(s->vnic, addr))
		claim_note(s->vnic, addr);
}
