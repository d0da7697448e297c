/* SPDX-License-Identifier: Apache-2.0 */
/* Security groups on the readable road: the sender's egress rules on its node, the receiver's ingress rules on its
 * node. Both see the flow's first packet: what a session answers needs no rule, and an ICMP error follows its session.
 *
 * Ingress rules see the real client and the address after translation.
 */
#include "core/road.h"
#include "policy/policy_state.h"
#include "port/port.h"
#include "vpc/vpc.h"

static void ask(struct flow *f, const struct policy *policy, enum policy_direction direction,
	const struct endpoint *remote, struct policy_verdict *verdict)
{
	struct policy_query q = {
		.direction = direction,
		.remote = direction == POLICY_EGRESS ? f->new_dst : f->new_src,
		.protocol = f->proto,
		.dst_port = f->new_dport,
		.icmp_type = f->icmp_type,
		.icmp_code = f->icmp_code,
	};

	if (remote != NULL && remote->groups != NULL) {
		q.remote_groups = remote->groups->ids;
		q.remote_group_count = remote->groups->n;
	}
	policy_check(policy, &q, verdict);
}

static bool check(struct flow *f, const struct port *port, enum policy_direction direction,
	const struct endpoint *remote)
{
	const struct vnic *vnic = vnic_of(port);
	const char *direction_name = direction == POLICY_EGRESS ? "egress" : "ingress";
	struct policy_verdict v;

	if (vnic == NULL)
		return flow_drop(f, DROP_STALE, "port", port->name, -1);
	flow_depend(f, vnic->policy_epoch);
	flow_depend(f, vnic->epoch);
	ask(f, vnic->policy, direction, remote, &v);
	if (v.group == POLICY_GROUP_NONE) {
		flow_step(f, "port", port->name, -1,
			v.allow ? "no %s rule matches: allowed" : "no %s rule matches: denied",
			direction_name);
		if (v.allow)
			return true;
		return flow_drop(f,
			direction == POLICY_EGRESS ? DROP_POLICY_EGRESS : DROP_POLICY_INGRESS,
			"port", port->name, -1);
	}
	flow_step(f, "security_group", policy_group_name(v.group), (int32_t)v.rule,
		"%s rule %u (priority %u) %s", direction_name, v.rule, v.priority,
		v.allow ? "allows" : "denies");
	if (v.allow)
		return true;
	return flow_drop(f, direction == POLICY_EGRESS ? DROP_POLICY_EGRESS : DROP_POLICY_INGRESS,
		"security_group", policy_group_name(v.group), (int32_t)v.rule);
}

static bool egress(struct flow *f)
{
	const struct port *port = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;

	if (port == NULL || port->role != PORT_TENANT)
		return true;
	/* Whom a route sends it through is not whom it is for. */
	return check(f, port, POLICY_EGRESS,
		f->dst_ep != NULL && ip_addr_equal(&f->dst_ep->addr, &f->new_dst) ? f->dst_ep
										  : NULL);
}

static bool ingress(struct flow *f)
{
	const struct port *port = loc_is_port(f->out) ? port_get(loc_index(f->out)) : NULL;

	if (port == NULL || port->role != PORT_TENANT)
		return true;
	if (gateway_sends(f)) {
		flow_step(f, "port", port->name, -1, "the gateway's own health check");
		return true;
	}
	/* A translated source is nobody's of the VPC. */
	return check(
		f, port, POLICY_INGRESS, ip_addr_equal(&f->src, &f->new_src) ? f->src_ep : NULL);
}

ROAD_STAGE(egress_stage, 300, "policy_egress", egress)
ROAD_STAGE(ingress_stage, 600, "policy_ingress", ingress)
