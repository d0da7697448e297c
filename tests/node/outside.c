/* SPDX-License-Identifier: Apache-2.0 */
#include "outside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "base/ip_text.h"
#include "external/external.h"
#include "graph.h"
#include "port/port.h"
#include "session/hold.h"
#include "vpc/exit.h"
#include "vpc/vpc.h"

#define IDS (1u << 22)

struct outside outside;
_Atomic uint32_t outside_taken, outside_released, outside_began;
static _Atomic uint8_t held[IDS]; /* by id: 1 taken */
static struct external *network;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

/* ---- What flows hold ---- */

static uint32_t take(void)
{
	uint32_t id = atomic_fetch_add(&outside_taken, 1) + 1;

	atomic_store(&held[id % IDS], 1);
	return id;
}

static void release(uint32_t id, uint32_t part)
{
	(void)part;
	if (atomic_exchange(&held[id % IDS], 0) != 1)
		abort(); /* released twice: on any thread */
	atomic_fetch_add(&outside_released, 1);
}

static uint32_t timeout_s(uint32_t id, uint8_t proto, uint8_t tcp_state, bool answered)
{
	(void)id;
	(void)proto;
	(void)tcp_state;
	(void)answered;
	return outside.timeout_s;
}

static void began(uint32_t id, uint32_t index)
{
	(void)index;
	(void)id; /* the session may be gone already */
	atomic_fetch_add(&outside_began, 1);
}

static const struct session_hold_ops hold_ops = {
	.release = release, .timeout_s = timeout_s, .began = began};

static const struct flow_kept *kept_of(const struct flow *f)
{
	return outside.forgets ? NULL : f->kept;
}

static void hold(struct flow *f)
{
	if (kept_of(f) != NULL)
		f->hold = f->kept->hold;
	else if (outside.holds && !f->dry)
		f->hold.id[HOLD_NAT] = take();
}

/* ---- Out ---- */

static bool is_query(const struct flow *f)
{
	return f->proto == (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static rte_be16_t translated_port(rte_be16_t sport)
{
	uint16_t port = rte_be_to_cpu_16(sport);

	return rte_cpu_to_be_16(
		outside.port != NULL ? outside.port(port) : (uint16_t)(port + 1000));
}

/* IPv4 addresses are known in IPv6 by this prefix (RFC 6052). */
static const struct ip_addr prefix64 = {.w = {RTE_BE32(0x0064ff9b), 0, 0, 0}};

static bool leave_by_snat(struct flow *f)
{
	if (f->v6 && f->dst.q[0] == prefix64.q[0] && f->dst.w[2] == 0) {
		f->out_v6 = false;
		f->new_dst = ip_addr_from_v4(f->dst.w[3]);
	}
	f->new_src = addr(f->out_v6 ? SNAT6 : SNAT);
	if (f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || is_query(f))
		f->new_sport = kept_of(f) != NULL ? f->kept->new_sport : translated_port(f->sport);
	hold(f);
	if (outside.refuses)
		return flow_drop(f, DROP_NAT_FILTERED, "test", "refuses", -1);
	return external_leave(f, network);
}

static bool leave_by_eip(struct flow *f)
{
	f->new_src = addr(f->v6 ? EIP6 : EIP);
	return external_leave(f, network);
}

static bool find(struct flow *f)
{
	struct ip_addr b = addr(f->v6 ? "fd00:1:0:1::11" : "10.0.1.11");

	if (network == NULL || f->vpc->vni != 100)
		return false;
	f->leave = ip_addr_equal(&f->src, &b) ? leave_by_eip : leave_by_snat;
	return true;
}
VPC_EXIT(outside_exit, 50, find)

/* ---- In ---- */

static bool arrive_to(struct flow *f, const char *v4, const char *v6)
{
	struct ip_addr to = addr(f->v6 ? v6 : v4);

	return flow_deliver(f, vpc_by_vni(100), &to);
}

static bool arrive_at_a(struct flow *f, const struct endpoint *ep)
{
	(void)ep;
	if ((f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP) && f->dport == RTE_BE16(80))
		f->new_dport = RTE_BE16(8080);
	return arrive_to(f, "10.0.1.10", "fd00:1:0:1::10");
}

static bool arrive_at_b(struct flow *f, const struct endpoint *ep)
{
	(void)ep;
	return arrive_to(f, "10.0.1.11", "fd00:1:0:1::11");
}

static bool arrive_at_r(struct flow *f, const struct endpoint *ep)
{
	(void)ep;
	return arrive_to(f, "10.0.1.20", "fd00:1:0:1::20");
}

static bool arrive_in_six(struct flow *f, const struct endpoint *ep)
{
	struct ip_addr to = addr("fd00:1:0:1::10"), client = prefix64;

	(void)ep;
	client.w[3] = ip_addr_v4(&f->src);
	f->new_src = client;
	f->out_v6 = true;
	return flow_deliver(f, vpc_by_vni(100), &to);
}

/* Answers only. */
static bool arrive_at_none(struct flow *f, const struct endpoint *ep)
{
	return flow_drop(f, DROP_NAT_FILTERED, "test", ep->port_name, -1);
}

static void serve(const char *text, bool (*arrive)(struct flow *f, const struct endpoint *ep))
{
	static struct flow_service services[16];
	static unsigned int n;
	struct ip_addr a = addr(text);
	struct endpoint *ep = endpoint_new(network->scope->index, &a, "service");

	assert_non_null(ep);
	services[n] = (struct flow_service){.kind = "test", .arrive = arrive};
	ep->where = LOC_NONE;
	ep->mac = network->scope->gw_mac;
	ep->service = &services[n++];
	endpoint_put(ep);
}

struct external *outside_network(uint32_t caps)
{
	struct external_family v4 = {.address = addr("203.0.113.1")},
			       v6 = {.address = addr("2001:db8::1")};
	struct port_spec spec = {.type = "stub", .mtu = 1500};
	struct port *p = port_new(EXT, PORT_EXTERNAL);
	static const struct ip_addr everything;
	struct external *made;
	struct rte_ether_addr mac;

	assert_non_null(p);
	graph_port_caps(caps);
	assert_int_equal(port_open(p, &spec), 0);
	rte_ether_unformat_addr(EXT_MAC, &p->mac);
	v4.prefix = ip_prefix_of(&v4.address, 128); /* nobody else is on the link: */
	v6.prefix = ip_prefix_of(&v6.address, 128);
	made = external_new("internet", p, &v4, &v6);
	assert_non_null(made);
	rte_ether_unformat_addr(HOP_MAC, &mac);
	assert_int_equal(external_hop_set(made, &everything, &mac), 0);
	return made;
}

void outside_start(uint32_t caps)
{
	network = outside_network(caps);
	session_hold_register(HOLD_NAT, &hold_ops);
	serve(SNAT, arrive_at_none);
	serve(SNAT6, arrive_at_none);
	serve(DNAT, arrive_at_a);
	serve(DNAT6, arrive_at_a);
	serve(EIP, arrive_at_b);
	serve(EIP6, arrive_at_b);
	serve(FAR, arrive_at_r);
	serve(FAR6, arrive_at_r);
	serve(SIX, arrive_in_six);
}

void outside_reset(void)
{
	memset(&outside, 0, sizeof(outside));
	assert_int_equal(outside_taken, outside_released);
	outside_taken = outside_released = outside_began = 0;
}

void outside_bump(void)
{
	epoch_bump(network->scope->epoch);
}
