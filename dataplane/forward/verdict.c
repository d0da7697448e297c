/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/verdict.h"

#include <netinet/in.h>
#include <sched.h>
#include <string.h>

#include <rte_pause.h>

#include "core/worker.h"
#include "forward/cut.h"
#include "forward/parse.h"
#include "forward/recover.h"
#include "forward/translate.h"
#include "inspect/inspect.h"
#include "nat64/nat64.h"
#include "session/parked.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

static bool flow_is_icmp(const struct flow *f)
{
	return f->proto == (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* A query's ports are (id, type << 8 | code): see forward/parse.h. */
void verdict_set_icmp(struct flow *f)
{
	uint16_t type_code = flow_is_icmp(f) ? rte_be_to_cpu_16(f->dport) : 0;

	f->icmp_type = (uint8_t)(type_code >> 8);
	f->icmp_code = (uint8_t)type_code;
}

/* IP bytes of the largest packet the frame becomes on the wire. */
static uint16_t wire_len(const struct rte_mbuf *m, const struct pkt *p)
{
	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		return (uint16_t)(p->l4_off - p->l3_off + m->l4_len + m->tso_segsz);
	return p->l3_len;
}

void verdict_flow_of_packet(struct flow *f, const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	memset(f, 0, sizeof(*f));
	f->in = p->in;
	f->vpc_index = p->vpc;
	f->v6 = p->flags & PKT_F_V6;
	f->proto = p->proto;
	parse_addrs(m, p, &f->src, &f->dst);
	f->sport = p->sport;
	f->dport = p->dport;
	f->icmp_error = p->flags & PKT_F_ICMP_ERROR;
	verdict_set_icmp(f);
	f->l3_len = wire_len(m, p);
	f->smac = eth->src_addr;
	f->dmac = eth->dst_addr;
}

void verdict_flow_of_session(struct flow *f, uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1),
				 *r = session_dir_of(index << 1 | 1);
	const struct vpc *vpc;

	memset(f, 0, sizeof(*f));
	f->in = d->in;
	f->vpc_index = session_key_vpc(&d->key);
	f->v6 = d->flags & SESSION_F_V6;
	f->proto = session_key_proto(&d->key);
	f->src = session_src(index, 0);
	f->dst = session_dst(index, 0);
	f->sport = d->key.sport;
	f->dport = d->key.dport;
	verdict_set_icmp(f);
	f->smac = r->dmac;
	f->dmac = d->dmac;
	vpc = vpc_get(f->vpc_index);
	if ((d->flags & (SESSION_F_ROUTED | SESSION_F_REMAC)) && vpc != NULL)
		f->dmac = vpc->gw_mac;
}

/* May the port that a session was made from still send from its source? */
static bool still_there(const struct flow *f)
{
	const struct port *port = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	return vnic != NULL && vnic->vpc->index == f->vpc_index &&
	       (!port->port_security || vnic_may_use(vnic, &f->src));
}

/* … a port's in its own, and what crosses subnets to the gateway. */
static void enter_by_port(struct flow *f, loc_t where, bool routed)
{
	const struct port *port = port_get(loc_index(where));
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	if (vnic == NULL)
		return;
	f->vpc_index = vnic->vpc->index;
	if (routed)
		f->dmac = vnic->vpc->gw_mac;
}

/* By a tunnel they come to their receiver, in its VPC over a peering; or to us, who stand between the VPC and a service. */
static void enter_by_tunnel(struct flow *f, uint32_t index, const struct vpc *vpc)
{
	const struct session_dir *d = session_dir_of(index << 1),
				 *r = session_dir_of(index << 1 | 1);
	const struct vpc *other = vpc_get(session_key_vpc(&r->key));

	if ((d->flags & (SESSION_F_SRC | SESSION_F_DST)) || other == NULL ||
		other->external != NULL) {
		f->dmac = vpc->gw_mac;
		return;
	}
	f->dmac = d->dmac;
	if (loc_is_port(d->out))
		f->vpc_index = other->index;
}

/* The initiator may have moved: its packets enter from where it lives now. What crosses subnets is routed once, on the
 * source's node, so a frame comes to the gateway's MAC from a port and to its receiver's from a tunnel. */
static void follow_initiator(struct flow *f, uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1),
				 *r = session_dir_of(index << 1 | 1);
	const struct vpc *vpc = vpc_get(f->vpc_index);
	struct origin o;

	if (vpc == NULL || still_there(f))
		return;
	origin_find(vpc, &f->src, &o);
	if (o.where == LOC_NONE || o.where == f->in)
		return;
	if (loc_is_port(f->in) && loc_is_tunnel(o.where))
		enter_by_tunnel(f, index, vpc);
	else if (loc_is_port(o.where))
		enter_by_port(f, o.where,
			loc_is_tunnel(f->in) &&
				((d->flags & SESSION_F_REMAC) || (r->flags & SESSION_F_ROUTED)));
	f->in = o.where;
}

_Static_assert(SESSION_METERS == FLOW_METERS, "a verdict's are the session's");

/* A gateway's part of the way by a tunnel of ours: its other end has decremented the TTL, or will not. */
static bool is_our_leg(const struct flow *f, loc_t where)
{
	const struct vtep *vtep = loc_is_tunnel(where) ? vtep_get(loc_index(where)) : NULL;

	return f->gateway && vtep != NULL && !vtep_is_foreign(vtep);
}

bool verdict_was_routed(const struct flow *f)
{
	return is_our_leg(f, f->in);
}

static uint16_t rewrites_macs(const struct flow *f, loc_t in, bool wanted)
{
	if (!wanted)
		return 0;
	return is_our_leg(f, in) ? SESSION_F_REMAC : SESSION_F_ROUTED;
}

static uint16_t family_flag(bool v6)
{
	return v6 ? SESSION_F_V6 : 0;
}

/* Everything in the records but keys and change words. */
static void fill_dirs(struct session_dir d[2], const struct flow *f)
{
	uint16_t common = f->proto == IPPROTO_TCP ? SESSION_F_TCP : 0;
	uint16_t macs = rewrites_macs(f, f->in, f->routed);
	uint16_t reply_macs =
		rewrites_macs(f, f->out, loc_is_port(f->out) ? f->reply_routed : f->gateway);

	d[0].in = f->in;
	d[0].out = f->out;
	d[0].out_vni = f->out_vni;
	d[0].dmac = macs != 0 ? f->out_dmac : f->dmac;
	/* What is bridged may come through the gateway all the same. */
	d[0].smac = macs != 0 ? f->out_smac : f->vpc->gw_mac;
	d[0].flags = (uint16_t)(common | macs | family_flag(f->v6));
	d[0].mtu = f->mtu != 0 ? f->mtu : UINT16_MAX;
	d[1].in = f->out;
	d[1].out = f->in;
	d[1].out_vni = f->reply_vni;
	d[1].dmac = f->reply_dmac;
	d[1].smac = reply_macs != 0 ? f->reply_smac : f->vpc->gw_mac;
	d[1].flags = (uint16_t)(common | reply_macs | family_flag(f->out_v6));
	d[1].mtu = d[0].mtu;
	for (unsigned int dir = 0; dir < 2; dir++)
		if (f->meters[dir][0] != 0)
			d[dir].flags |= SESSION_F_METER;
	if (session_hold_any(&f->hold))
		d[0].flags |= SESSION_F_HOLD;
	if (f->no_reuse)
		d[0].flags |= SESSION_F_NO_REUSE;
	if (f->accounts[0] != ACCOUNT_NONE)
		d[0].flags |= SESSION_F_ACCOUNT;
	if (unlikely(translate_wanted(f)))
		translate_fill(d, f);
	if (unlikely(inspect_any))
		inspect_mark(d, f);
}

/* The sum of the epochs the walk depended on. When anything moved since `change`, before the walk began, the sum is made wrong on
 * purpose: the tables may have been read on both sides of the change, so the next packet asks again. */
static uint32_t walked_sum(const struct flow *f, uint32_t change)
{
	uint32_t sum = epoch_sum(f->deps);

	return epoch_change() == change ? sum : sum - 1;
}

struct session_key verdict_key(const struct flow *f)
{
	if (f->v6)
		return session_key_v6(f->vpc_index, f->proto, &f->src, &f->dst, f->sport, f->dport);
	return session_key_v4(f->vpc_index, f->proto, ip_addr_v4(&f->src), ip_addr_v4(&f->dst),
		f->sport, f->dport);
}

uint8_t verdict_out_proto(const struct flow *f)
{
	return f->out_v6 == f->v6 ? f->proto : nat64_proto(f->proto, f->v6);
}

/* Of an ICMP query that changes its family the type does, too; as parse.h says it is in place of a port. */
rte_be16_t verdict_out_dport(const struct flow *f)
{
	int type;

	if (f->out_v6 == f->v6 || !flow_is_icmp(f))
		return f->new_dport;
	type = nat64_echo_type((uint8_t)(rte_be_to_cpu_16(f->dport) >> 8), f->v6);
	return type >= 0 ? rte_cpu_to_be_16((uint16_t)(type << 8)) : f->new_dport;
}

static struct session_key answers_key(const struct flow *f)
{
	uint8_t proto = verdict_out_proto(f);
	rte_be16_t dport = verdict_out_dport(f);

	if (f->out_v6)
		return session_key_v6(
			f->out_vpc_index, proto, &f->new_dst, &f->new_src, dport, f->new_sport);
	return session_key_v4(f->out_vpc_index, proto, ip_addr_v4(&f->new_dst),
		ip_addr_v4(&f->new_src), dport, f->new_sport);
}

/* Whose flow it is: a tenant's, also when somebody outside began it. */
static uint32_t tenant_of(const struct flow *f)
{
	return f->vpc->external != NULL && f->dst_vpc != NULL ? f->dst_vpc->index : f->vpc_index;
}

static void fill_new(
	struct session_new *n, const struct flow *f, const struct session_key *key, uint32_t change)
{
	memset(n, 0, sizeof(*n));
	fill_dirs(n->dir, f);
	n->dir[0].key = *key;
	n->dir[1].key = answers_key(f);
	n->hold = f->hold;
	if (f->v6 || f->out_v6) {
		n->src[0] = f->src;
		n->dst[0] = f->dst;
		n->src[1] = f->new_dst;
		n->dst[1] = f->new_src;
	}
	memcpy(n->meters, f->meters, sizeof(n->meters));
	memcpy(n->accounts, f->accounts, sizeof(n->accounts));
	memcpy(n->deps, f->deps, sizeof(n->deps));
	n->epoch_sum = walked_sum(f, change);
	n->change = change;
	n->vpc_index = tenant_of(f);
}

int verdict_insert(const struct flow *f, const struct session_key *key, uint32_t change,
	uint32_t now_ms, uint32_t *ref)
{
	struct session_new n;

	fill_new(&n, f, key, change);
	n.now_ms = now_ms;
	return session_insert(&n, ref);
}

int verdict_restore(
	const struct flow *f, uint32_t change, const struct session_history *history, uint32_t *ref)
{
	struct session_key key = verdict_key(f);
	struct session_new n;

	fill_new(&n, f, &key, change);
	n.history = history;
	return session_insert(&n, ref);
}

void verdict_prefetch(const struct flow *f)
{
	struct session_key key = answers_key(f);

	session_prefetch(&key);
}

bool verdict_still_fresh(uint32_t ref, uint32_t change)
{
	struct session_cold *c = &session_colds[ref >> 1];

	if (session_epoch_sum(ref >> 1) !=
		atomic_load_explicit(&c->epoch_sum, memory_order_relaxed))
		return false;
	atomic_store_explicit(&session_dir_of(ref)->change, change, memory_order_relaxed);
	return true;
}

static bool same_verdict(const struct session_dir *a, const struct session_dir *b)
{
	return a->in == b->in && a->out == b->out && a->out_vni == b->out_vni &&
	       a->flags == b->flags && a->mtu == b->mtu &&
	       rte_is_same_ether_addr(&a->dmac, &b->dmac) &&
	       rte_is_same_ether_addr(&a->smac, &b->smac);
}

/* A reader that meets a record half written sends one packet by a mixture of two verdicts of the same flow. */
static void store_verdict(struct session_dir *to, const struct session_dir *from)
{
	to->in = from->in;
	to->out = from->out;
	to->out_vni = from->out_vni;
	to->dmac = from->dmac;
	to->smac = from->smac;
	to->flags = from->flags;
	to->mtu = from->mtu;
	/* What is translated never changes: see same_translation(). */
}

/* Before the flag says that they hold. */
static void store_meters(uint32_t ref, const uint16_t ids[FLOW_METERS])
{
	if (ids[0] == 0 || memcmp(&session_meters[ref], ids, sizeof(session_meters[ref])) == 0)
		return;
	memcpy(&session_meters[ref], ids, sizeof(session_meters[ref]));
	atomic_thread_fence(memory_order_release);
}

/* Before the flag says that they hold; what has passed is the old ones'. */
static void store_accounts(uint32_t index, const uint16_t ids[FLOW_ACCOUNTS])
{
	bool billed = session_dir_of(index << 1)->flags & SESSION_F_ACCOUNT;

	if (billed &&
		memcmp(session_accounts[index].id, ids, sizeof(session_accounts[index].id)) == 0)
		return;
	if (billed)
		account_settle(index);
	if (ids[0] != ACCOUNT_NONE)
		account_begin(index, ids);
	atomic_thread_fence(memory_order_release);
}

/* One asks for a session at a time, whoever of the workers and the control thread needs it first. */
#define CLAIMS 1024u
#define SPINS 64u
static _Atomic bool claims[CLAIMS];

static _Atomic bool *claim(uint32_t index)
{
	_Atomic bool *c = &claims[index % CLAIMS];

	for (;;) {
		bool taken = false;

		if (atomic_compare_exchange_weak_explicit(
			    c, &taken, true, memory_order_acquire, memory_order_relaxed))
			return c;
		/* A walk takes a microsecond; only one that lost its CPU takes longer. */
		for (unsigned int spins = 0; atomic_load_explicit(c, memory_order_relaxed);
			spins++) {
			if (spins < SPINS)
				rte_pause();
			else
				sched_yield();
		}
	}
}

static void unclaim(_Atomic bool *c)
{
	atomic_store_explicit(c, false, memory_order_release);
}

static bool by_rules(enum drop_reason reason)
{
	return reason == DROP_POLICY_EGRESS || reason == DROP_POLICY_INGRESS;
}

/* Not to resume, should a rule return while connections are picked up. */
static void remember_cut(uint32_t index)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		recover_note_refused(&session_dir_of(index << 1 | dir)->key);
}

/* `f`, walked, has ended at its reason. */
static enum drop_reason cut(uint32_t index, struct flow *f)
{
	const struct session_dir *d = session_dir_of(index << 1);
	bool ruled = by_rules(f->reason);

	flow_release(f);
	if (ruled && recover_is_open())
		remember_cut(index);
	if ((ruled || !parked_holds(d->in, d->out)) && cut_tell(index, f))
		session_remove(index);
	return f->reason != DROP_NONE ? f->reason : DROP_STALE;
}

void flow_release(struct flow *f)
{
	session_hold_release(&f->hold, f->kept != NULL ? &f->kept->hold : NULL);
	memset(&f->hold, 0, sizeof(f->hold));
}

/* The tuple that answers come with, and what is held. */
static void kept_of(struct flow_kept *kept, uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1),
				 *r = session_dir_of(index << 1 | 1);

	kept->new_src = session_dst(index, 1);
	kept->new_dst = session_src(index, 1);
	kept->new_sport = r->key.dport;
	kept->new_dport = r->key.sport;
	if (session_key_proto(&d->key) != session_key_proto(&r->key))
		kept->new_dport = d->key.dport; /* stages leave an ICMP type to us */
	kept->hold = session_hold_of(index);
	kept->answered =
		atomic_load_explicit(&session_hots[1][index].packets, memory_order_relaxed) != 0;
}

/* A record's translation is for life: another one is another session's. */
static bool same_translation(const struct flow *f)
{
	const struct flow_kept *k = f->kept;

	return ip_addr_equal(&f->new_src, &k->new_src) && ip_addr_equal(&f->new_dst, &k->new_dst) &&
	       f->new_sport == k->new_sport && f->new_dport == k->new_dport &&
	       memcmp(&f->hold, &k->hold, sizeof(f->hold)) == 0;
}

/* The next packet begins anew, if it can begin something. */
static enum drop_reason start_over(struct flow *f, uint32_t index)
{
	flow_release(f);
	session_remove(index);
	return DROP_STALE;
}

/* The keys of a record never change, but over a peering an end that moves between node and tunnel changes the VPC in which its packets
 * arrive: then another record takes this one's place. */
static bool same_keys(const struct flow *f, uint32_t index)
{
	return f->vpc_index == session_key_vpc(&session_dir_of(index << 1)->key) &&
	       f->out_vpc_index == session_key_vpc(&session_dir_of(index << 1 | 1)->key);
}

static enum drop_reason replace(struct flow *f, uint32_t index, uint32_t change)
{
	struct session_history history;
	uint32_t ref;

	if (session_hold_any(&f->hold)) /* it goes with the session that has it */
		return start_over(f, index);
	session_history_of(index, &history);
	session_remove(index);
	/* Without room it is as if the connection had ended. */
	(void)verdict_restore(f, change, &history, &ref);
	return DROP_STALE;
}

static void store(const struct flow *f, uint32_t index, uint32_t change)
{
	struct session_cold *cold = &session_colds[index];
	struct session_dir now[2];

	memset(now, 0, sizeof(now));
	fill_dirs(now, f);
	store_accounts(index, f->accounts);
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct session_dir *d = session_dir_of(index << 1 | dir);

		store_meters(index << 1 | dir, f->meters[dir]);
		if (!same_verdict(d, &now[dir]))
			store_verdict(d, &now[dir]);
	}
	session_set_deps(index, f->deps);
	atomic_store_explicit(&cold->epoch_sum, walked_sum(f, change), memory_order_release);
	for (unsigned int dir = 0; dir < 2; dir++)
		atomic_store_explicit(
			&session_dir_of(index << 1 | dir)->change, change, memory_order_release);
}

static bool sum_stands(uint32_t index)
{
	const struct session_cold *c = &session_colds[index];

	return session_epoch_sum(index) ==
	       atomic_load_explicit(&c->epoch_sum, memory_order_acquire);
}

static enum drop_reason ask(uint32_t index)
{
	uint32_t change = epoch_change();
	struct flow_kept kept;
	struct flow f;

	/* Somebody was here first. */
	if (!session_alive(index))
		return DROP_STALE;
	if (sum_stands(index))
		return DROP_NONE;
	verdict_flow_of_session(&f, index);
	follow_initiator(&f, index);
	kept_of(&kept, index);
	f.kept = &kept;
	if (!road_walk(&f))
		return cut(index, &f);
	if (!same_translation(&f))
		return start_over(&f, index);
	if (!same_keys(&f, index))
		return replace(&f, index, change);
	store(&f, index, change);
	return DROP_NONE;
}

enum drop_reason verdict_refresh(uint32_t index)
{
	_Atomic bool *claimed = claim(index);
	enum drop_reason reason = ask(index);

	unclaim(claimed);
	return reason;
}
