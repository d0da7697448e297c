/* SPDX-License-Identifier: Apache-2.0 */
/* Ports back to back: what enters an even port leaves by the next odd one and the other way round.
 *
 *	port_loop [--caps MASK] [--sleep] [--vxlan] PORT PORT [PORT PORT ...]
 *	PORT: tap,IFNAME,NETNS[,GATEWAY4,GATEWAY6,ADDRESS...] | netdev,IFNAME[,MODE[,MTU]] | memif,SOCKET,ROLE |
 *	      vhost_user,SOCKET,ROLE,QUEUES | device,DEVARGS
 *
 * Port names and addresses are separated by commas. --caps takes capabilities away from the ports, so that the software does their work. Prints "ready", runs until
 * its standard input ends, then prints counters as JSON. The rest of the dataplane is not there: the stubs below are
 * all that the port layer needs of it.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_jhash.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "core/node.h"
#include "core/pkt.h"
#include "core/rcu.h"
#include "port/drops.h"
#include "port/offload.h"
#include "port/poll.h"
#include "port/reaper.h"
#include "underlay/vxlan.h"

#define SPIN_US 50

struct worker workers[WORKER_MAX];
unsigned int worker_count = 1;
__thread struct worker *worker_self;

#define X(id, name, help) name,
static const char *const reasons[] = {DROP_REASONS(X)};
#undef X

static _Atomic bool stopping, all_open;
static bool sleeps, vxlan;
static uint64_t turns, worker_ns; /* what they took, of its own CPU time */
static struct vxlan_outer outer;

void worker_wake_all(void)
{
	eventfd_write(workers[0].wake_fd, 1);
}

void drop_count(const struct rte_mbuf *m, enum drop_reason reason)
{
	(void)m;
	worker_self->count.dropped[reason]++;
}

void drop_count_unseen(uint32_t owner, enum drop_reason reason)
{
	(void)owner;
	worker_self->count.dropped[reason]++;
}

uint32_t drop_owner_port(uint32_t port_index)
{
	return port_index;
}

uint32_t drop_owner_of_vpc(uint32_t vpc_index)
{
	return vpc_index;
}

void drop_pass_on(uint32_t owner, uint32_t heir)
{
	(void)owner;
	(void)heir;
}

/* Into the tunnel: complete, in segments, with the outer header. */
static void encapsulate(struct port *to, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *out[64];

	for (uint16_t i = 0; i < n; i++) {
		struct offload o;
		unsigned int made;

		if (offload_begin(&o, PORT_CAP_MULTI_SEG, pkts[i]) < 0) {
			port_drop(&pkts[i], 1, DROP_MALFORMED);
			continue;
		}
		while ((made = offload_next(&o, out, RTE_DIM(out))) > 0) {
			for (unsigned int k = 0; k < made; k++)
				vxlan_push(out[k], &outer, 42, 7, 0);
			port_send(to, out, (uint16_t)made);
		}
		worker_self->count.generated += o.count - 1;
		offload_end(&o);
	}
}

static void decapsulate(struct port *to, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t left = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct vxlan_info info;

		if (vxlan_parse(pkts[i], &info) != DROP_NONE || !info.is_vxlan) {
			port_drop(&pkts[i], 1, DROP_NOT_FOR_US);
			continue;
		}
		rte_pktmbuf_adj(pkts[i], info.len);
		offload_decap(pkts[i]);
		pkts[left++] = pkts[i];
	}
	port_send(to, pkts, left);
}

static void pass(const struct port *from, struct rte_mbuf **pkts, uint16_t n)
{
	struct port *to = port_get(from->index ^ 1);

	if (to == NULL)
		port_drop(pkts, n, DROP_PORT_DOWN);
	else if (!vxlan)
		port_send(to, pkts, n);
	else if (from->index & 1)
		decapsulate(to, pkts, n);
	else
		encapsulate(to, pkts, n);
}

/* Of addresses and ports. */
static uint32_t flow_hash(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool v4 = eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4);
	uint32_t key[9] = {0};

	if (m->data_len < 58)
		return 0;
	memcpy(key, (const uint8_t *)eth + (v4 ? 26 : 22), v4 ? 12 : 36);
	return rte_jhash(key, sizeof(key), 0);
}

static void turn(struct worker *w)
{
	struct rte_mbuf *pkts[BURST];
	struct port *port;
	uint16_t n;

	w->now_tsc = rte_rdtsc();
	port_poll_begin(w);
	while ((n = port_poll_next(w, &port, pkts, BURST)) > 0) {
		for (uint16_t i = 0; i < n; i++)
			*pkt_of(pkts[i]) = (struct pkt){
				.in = loc_port(port->index), .hash = flow_hash(pkts[i])};
		pass(port, pkts, n);
	}
}

static int run(void *arg)
{
	struct worker *w = arg;
	uint64_t spin = rte_get_tsc_hz() / 1000000 * SPIN_US, busy = 0, seen = 0;
	struct timespec cpu;
	uint64_t before = 0;
	bool counting = false;

	worker_self = w;
	rcu_worker_online(w->id);
	while (!stopping) {
		if (!counting && all_open) {
			counting = true;
			turns = 0;
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
			before = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
		}
		turn(w);
		turns++;
		rcu_worker_quiescent();
		if (w->count.received != seen) {
			seen = w->count.received;
			busy = w->now_tsc;
		} else if (sleeps && w->now_tsc - busy > spin && port_poll_idle(w)) {
			rcu_worker_offline();
			port_poll_wait(w, 100000);
			rcu_worker_online(w->id);
		}
	}
	rcu_worker_offline();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	worker_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec - before;
	return 0;
}

static const char *word(char **rest)
{
	char *w = strsep(rest, ",");

	return w == NULL || *w == '\0' ? NULL : w;
}

static void open_port(const char *name, bool odd, char *text, uint32_t caps)
{
	struct port_spec spec = {.mtu = vxlan ? odd ? 1500 : 1450 : 1500};
	const char *addresses[4], *mtu;
	struct port *port = port_new(name, vxlan && odd ? PORT_UNDERLAY : PORT_TENANT);

	spec.type = word(&text);
	if (strcmp(spec.type, "tap") == 0) {
		spec.ifname = word(&text);
		spec.netns = word(&text);
		spec.gateway4 = word(&text);
		spec.gateway6 = word(&text);
		spec.addresses = addresses;
		for (const char *a; (a = word(&text)) != NULL; spec.n_addresses++)
			addresses[spec.n_addresses] = a;
		spec.configure = spec.n_addresses > 0;
		rte_eth_random_addr(spec.mac.addr_bytes);
	} else if (strcmp(spec.type, "netdev") == 0) {
		spec.ifname = word(&text);
		spec.mode = word(&text);
		mtu = word(&text);
		if (mtu != NULL)
			spec.mtu = (uint16_t)atoi(mtu);
	} else if (strcmp(spec.type, "memif") == 0) {
		spec.socket = word(&text);
		spec.role = word(&text);
	} else if (strcmp(spec.type, "vhost_user") == 0) {
		spec.socket = word(&text);
		spec.role = word(&text);
		spec.queues = (uint32_t)atoi(word(&text));
	} else {
		spec.devargs = text;
	}
	if (port == NULL || port_open(port, &spec) < 0) {
		fprintf(stderr, "%s: %s\n", spec.type, port == NULL ? "no port" : port->reason);
		exit(2);
	}
	port->caps &= caps;
}

/* As core/pool.c: without hugepages IO-contiguous objects would lie one a page and alias in the cache. */
static struct rte_mempool *make_pool(
	const char *name, unsigned int n, unsigned int cache, uint16_t room)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = room,
		.mbuf_priv_size = RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN),
	};
	unsigned int size = (unsigned int)sizeof(struct rte_mbuf) + priv.mbuf_priv_size + room;
	struct rte_mempool *mp = rte_mempool_create_empty(
		name, n, size, cache, sizeof(priv), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (mp == NULL)
		rte_exit(1, "no buffers\n");
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_default(mp) < 0)
		rte_exit(1, "no buffers\n");
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

static void make_worker(struct worker *w)
{
	w->lcore = rte_get_next_lcore(-1, 1, 0);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->pool = make_pool("small", 8191, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
	w->jumbo_pool = make_pool("jumbo", 255, 32, RTE_PKTMBUF_HEADROOM + 65280);
}

/* Both ends may use the same addresses: nobody looks. */
static void make_tunnel(void)
{
	struct ip_addr a = ip_addr_from_v4(RTE_BE32(0xc0000201)),
		       b = ip_addr_from_v4(RTE_BE32(0xc0000202));
	struct rte_ether_addr s = {{2, 0, 0, 0, 0, 1}}, d = {{2, 0, 0, 0, 0, 2}};

	vxlan_outer_make(&outer, &a, &b, &s, &d);
}

static void report(void)
{
	const struct worker_counters *c = &workers[0].count;

	printf("{\"received\": %lu, \"sent\": %lu, \"generated\": %lu, \"consumed\": %lu",
		c->received, c->sent, c->generated, c->consumed);
	for (int i = 1; i < DROP_MAX; i++) {
		if (c->dropped[i] > 0)
			printf(", \"%s\": %lu", reasons[i], c->dropped[i]);
	}
	printf(", \"turns\": %lu, \"worker_ns\": %lu", turns, worker_ns);
	printf(", \"small_free\": %u, \"jumbo_free\": %u}\n",
		rte_mempool_avail_count(workers[0].pool),
		rte_mempool_avail_count(workers[0].jumbo_pool));
}

static void say_state(struct port *port)
{
	printf("port %u: %s\n", port->index, port->state == PORT_ACTIVE ? "active" : port->reason);
	fflush(stdout);
}

static void wait_for_end(void)
{
	struct pollfd in[] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = port_links_fd(), .events = POLLIN}};
	char c;

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		poll(in, RTE_DIM(in), 100);
		if (in[0].revents != 0 && read(STDIN_FILENO, &c, 1) <= 0)
			return;
		port_links_looked();
		port_check_links(say_state);
		rcu_poll();
	}
}

int main(int argc, char **argv)
{
	uint32_t caps = UINT32_MAX;
	char prefix[32], name[32];
	char *eal[] = {"port_loop", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "-m",
		"256", "--lcores=0@0,1@1", "--log-level=4", prefix};
	int i = 1, n = 0;

	signal(SIGPIPE, SIG_IGN); /* a virtio_user device whose backend is gone */
	snprintf(prefix, sizeof(prefix), "--file-prefix=pl%d", getpid());
	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--sleep") == 0)
			sleeps = true;
		else if (strcmp(argv[i], "--vxlan") == 0)
			vxlan = true;
		else
			caps = (uint32_t)strtoul(argv[++i], NULL, 0);
	}
	make_worker(&workers[0]);
	make_tunnel();
	if (rcu_init(1) < 0 || port_init(4096) < 0)
		return 1;
	rte_eal_remote_launch(run, &workers[0], workers[0].lcore);
	for (; i < argc; i++) {
		snprintf(name, sizeof(name), "port%d", n);
		open_port(name, n & 1, argv[i], caps);
		n++;
	}
	all_open = true;
	wait_for_end();
	for (struct port *p = port_next(NULL), *next; p != NULL; p = next) {
		next = port_next(p);
		port_free(p);
	}
	reaper_wait();
	stopping = true;
	worker_wake_all();
	rte_eal_mp_wait_lcore();
	rcu_fini();
	report();
	return 0;
}
