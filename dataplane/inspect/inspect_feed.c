/* SPDX-License-Identifier: Apache-2.0 */
/* From a packet on the graph to a frame on the TAP: workers put headers into the ring, the sight thread wraps them up. */
#include "inspect/inspect_internal.h"

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <rte_vxlan.h>

#include "observe/observe.h"
#include "underlay/underlay.h"

#define DNS_PORT RTE_BE16(53)
#define FEED_PORT RTE_BE16(4789)

bool inspect_any;
uint32_t inspect_first;
struct inspect_worker inspect_workers[WORKER_MAX];
_Atomic uint64_t inspect_vpcs[VPC_INDEX_MAX];
uint32_t inspect_sample = UINT32_MAX;
_Atomic uint32_t inspect_snaplen = 128;

static struct observer *_Atomic feed; /* RCU */

/* ---- Workers ---- */

static uint64_t word_of(uint32_t vpc_index)
{
	return vpc_index < VPC_INDEX_MAX
		       ? atomic_load_explicit(&inspect_vpcs[vpc_index], memory_order_relaxed)
		       : 0;
}

/* How much of the frame is wanted. What is chained behind the first buffer is no header. */
static uint32_t wanted(const struct rte_mbuf *m, const struct pkt *p)
{
	uint32_t snap = atomic_load_explicit(&inspect_snaplen, memory_order_relaxed);

	if (snap < INSPECT_SNAP_DNS && p->proto == IPPROTO_UDP &&
		(p->sport == DNS_PORT || p->dport == DNS_PORT))
		snap = INSPECT_SNAP_DNS;
	return RTE_MIN((uint32_t)m->data_len, snap);
}

static void put(struct worker *w, const struct rte_mbuf *m, struct observe_meta *meta)
{
	struct inspect_worker *iw = &inspect_workers[w->id];
	struct observer *o = rcu_ptr_get(feed);

	if (unlikely(o == NULL))
		return;
	meta->tsc = w->now_tsc;
	meta->len = wanted(m, rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m));
	meta->point = OBSERVE_AT_NODE;
	meta->worker = (uint8_t)w->id;
	iw->packets++;
	iw->fed = true;
	observe_bytes_to_ring(o, meta, rte_pktmbuf_mtod(m, const void *));
}

/* In place of an address: where it came from or goes to. */
static loc_t shown(loc_t where)
{
	const struct port *port =
		where != LOC_NONE && loc_is_port(where) ? port_get(loc_index(where)) : NULL;

	return port != NULL ? inspect_port_number(port) : INSPECT_OUTSIDE;
}

/* The VPC under inspection that knows the flow as it is shown: see inspect_mark(). */
static uint32_t vpc_of_session(uint32_t ref)
{
	uint32_t vpc = session_key_vpc(&session_dir_of(ref & ~1u)->key);

	return word_of(vpc) != 0 ? vpc : session_key_vpc(&session_dir_of(ref | 1u)->key);
}

static bool sample_is_due(struct inspect_worker *iw)
{
	if (iw->passed < inspect_sample)
		return false;
	iw->passed = 0;
	return true;
}

void inspect_feed(struct worker *w, const struct rte_mbuf *m, uint32_t ref, uint64_t packets)
{
	const struct session_dir *d = session_dir_of(ref);
	uint32_t vpc = vpc_of_session(ref);
	uint64_t word = word_of(vpc);
	bool due = sample_is_due(&inspect_workers[w->id]);
	bool question = inspect_is_question(rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m));
	struct observe_meta meta = {.vpc = vpc, .session = ref, .id = INSPECT_VNI(word)};

	if (word == 0)
		return;
	meta.flags = ref & 1 ? INSPECT_ANSWER : 0;
	if (packets <= INSPECT_PACKETS(word) || question)
		meta.flags |= packets <= 1 && !(ref & 1) ? INSPECT_FIRST : 0;
	else if (due && (word & INSPECT_SAMPLED_BIT))
		meta.flags |= INSPECT_SAMPLED;
	else
		return;
	meta.in = shown(d->in);
	meta.out = shown(d->out);
	put(w, m, &meta);
}

void inspect_refused(struct worker *w, const struct rte_mbuf *m)
{
	const struct pkt *p = rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
	const struct vtep *vtep = loc_is_tunnel(p->in) ? vtep_get(loc_index(p->in)) : NULL;
	uint64_t word = word_of(p->vpc);
	struct observe_meta meta = {.vpc = p->vpc,
		.id = INSPECT_VNI(word),
		.session = SESSION_NONE,
		.reason = p->reason,
		.flags = INSPECT_DENIED | INSPECT_FIRST};

	if (word == 0 || (p->flags & (PKT_F_L4 | PKT_F_ICMP_ERROR)) != PKT_F_L4 ||
		(vtep != NULL && !vtep_is_foreign(vtep)))
		return;
	meta.in = shown(p->in);
	meta.out = shown(p->reason == DROP_POLICY_INGRESS ? p->out : LOC_NONE);
	put(w, m, &meta);
}

void inspect_wake(struct inspect_worker *iw)
{
	struct observer *o = rcu_ptr_get(feed);

	iw->fed = false;
	if (o != NULL)
		observe_offered(o);
}

/* ---- Sight thread ---- */

struct feed_header {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	struct rte_vxlan_hdr vxlan;
};
_Static_assert(sizeof(struct feed_header) == 50, "as on the wire");

static void wrap(struct feed_header *h, const struct observe_meta *meta)
{
	uint16_t size = (uint16_t)(meta->caplen + sizeof(h->udp) + sizeof(h->vxlan));

	*h = (struct feed_header){
		/* To nobody: the kernel's own protocols leave such frames alone. */
		.ether = {.dst_addr.addr_bytes = {2, 0x76, 0x70, 0xfe, 0, 2},
			.src_addr.addr_bytes = {2, 0x76, 0x70, 0xfe, 0, 1},
			.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)},
		.ip = {.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16((uint16_t)(size + sizeof(h->ip))),
			.time_to_live = 1,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = rte_cpu_to_be_32(meta->in),
			.dst_addr = rte_cpu_to_be_32(meta->out)},
		.udp = {.src_port = rte_cpu_to_be_16((uint16_t)(meta->reason << 8 | meta->flags)),
			.dst_port = FEED_PORT,
			.dgram_len = rte_cpu_to_be_16(size)},
		.vxlan = {.vx_flags = RTE_BE32(0x08000000),
			.vx_vni = rte_cpu_to_be_32((uint32_t)meta->id << 8)},
	};
	h->ip.hdr_checksum = rte_ipv4_cksum(&h->ip);
}

static void record(struct observer *o, const struct observe_meta *meta, const uint8_t *data)
{
	uint8_t frame[sizeof(struct feed_header) + INSPECT_SNAP_MAX];

	(void)o;
	if (meta->caplen > INSPECT_SNAP_MAX)
		return;
	wrap((struct feed_header *)frame, meta);
	memcpy(frame + sizeof(struct feed_header), data, meta->caplen);
	inspect_output(frame, sizeof(struct feed_header) + meta->caplen);
}

/* ---- Control thread ---- */

int inspect_feed_start(void)
{
	static const struct observe_sink sink = {.record = record};
	const struct observer_spec spec = {.snaplen = INSPECT_SNAP_MAX, .sink = &sink};
	struct observer *o = rcu_ptr_get(feed);

	if (o != NULL)
		return 0;
	o = observer_new(&spec);
	if (o == NULL)
		return -errno;
	rcu_ptr_set(feed, o);
	return 0;
}

void inspect_feed_stop(void)
{
	struct observer *o = rcu_ptr_get(feed);

	rcu_ptr_set(feed, NULL);
	if (o != NULL)
		observer_free(o);
}

uint64_t inspect_feed_lost(void)
{
	struct observer *o = rcu_ptr_get(feed);

	return o != NULL ? observer_counters(o).lost : 0;
}
