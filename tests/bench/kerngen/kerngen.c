/* SPDX-License-Identifier: Apache-2.0 */
/* kerngen OBJECT IFNAME ARGUMENT=VALUE...: packets without end into the receive path of a network interface, made and forwarded on
 * the CPU that this process runs on, until SIGTERM. The arguments are those of net_flowgen that matter here: flows, sips, size,
 * fresh, src, dst, smac, dmac, vni, osrc, odst, osmac, odmac. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <rte_ether.h>

#include "../flowgen/frame.h"
#include "kerngen.h"

#define BATCH 64
#define REPEAT (1 << 20)

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int set_address(struct plan_address *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->bytes + 12) == 1)
		return 0;
	a->ipv6 = true;
	return inet_pton(AF_INET6, text, a->bytes) == 1 ? 0 : -EINVAL;
}

static int set_mac(struct rte_ether_addr *mac, const char *text)
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac->addr_bytes[0],
		       &mac->addr_bytes[1], &mac->addr_bytes[2], &mac->addr_bytes[3],
		       &mac->addr_bytes[4], &mac->addr_bytes[5]) == 6
		       ? 0
		       : -EINVAL;
}

static int set(struct plan *plan, const char *name, const char *value)
{
	struct {
		const char *name;
		struct plan_address *address;
		struct rte_ether_addr *mac;
		uint32_t *number;
	} all[] = {
		{"src", &plan->src, NULL, NULL},
		{"dst", &plan->dst, NULL, NULL},
		{"osrc", &plan->outer_src, NULL, NULL},
		{"odst", &plan->outer_dst, NULL, NULL},
		{"smac", NULL, &plan->smac, NULL},
		{"dmac", NULL, &plan->dmac, NULL},
		{"osmac", NULL, &plan->outer_smac, NULL},
		{"odmac", NULL, &plan->outer_dmac, NULL},
		{"size", NULL, NULL, &plan->size},
		{"sips", NULL, NULL, &plan->sources},
		{"vni", NULL, NULL, &plan->vni},
		{"fresh", NULL, NULL, &plan->fresh_every},
	};

	if (strcmp(name, "flows") == 0) {
		plan->flows = strtoull(value, NULL, 0);
		return 0;
	}
	for (size_t i = 0; i < RTE_DIM(all); i++) {
		if (strcmp(all[i].name, name) != 0)
			continue;
		if (all[i].address != NULL)
			return set_address(all[i].address, value);
		if (all[i].mac != NULL)
			return set_mac(all[i].mac, value);
		*all[i].number = strcmp(value, "imix") == 0 ? 0 : (uint32_t)strtoul(value, NULL, 0);
		return 0;
	}
	return -EINVAL;
}

static int parse(struct plan *plan, char **argv)
{
	*plan = (struct plan){.size = 60, .flows = 1, .sources = 1, .sport = 1024, .dport = 80};
	for (; *argv != NULL; argv++) {
		char *value = strchr(*argv, '=');

		if (value != NULL)
			*value++ = '\0';
		if (value == NULL || set(plan, *argv, value) != 0) {
			fprintf(stderr, "kerngen: not understood: %s\n", *argv);
			return -EINVAL;
		}
	}
	return plan->size == 0 || (plan->size >= frame_minimum(plan) && plan->size <= 3000)
		       ? 0
		       : -EINVAL;
}

static void put_frame(struct kerngen_frame *to, const struct plan *plan, uint32_t size)
{
	struct frame frame;

	frame_make(&frame, plan, size);
	memcpy(to->head, frame.head, sizeof(to->head));
	to->ip_sum = frame.ip_sum;
	to->l4_sum = frame.l4_sum;
	to->length = frame.length;
}

static struct kerngen_state state_of(const struct plan *plan)
{
	/* As net_flowgen's source.c has them. */
	static const uint16_t sizes[KERNGEN_SIZES] = {60, 590, 1514};
	static const unsigned char cycle[KERNGEN_CYCLE] = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};
	struct kerngen_state s = {
		.src = frame_low(&plan->src),
		.dst = frame_low(&plan->dst),
		.sources = plan->sources,
		.flows = (unsigned int)plan->flows,
		.sport = plan->sport,
		.dport = plan->dport,
		.ipv6 = plan->src.ipv6,
		.vxlan = plan->vni != 0,
		.imix = plan->size == 0,
		.fresh_every = plan->fresh_every,
		.fresh_in = plan->fresh_every,
	};

	memcpy(s.cycle, cycle, sizeof(cycle));
	for (unsigned int i = 0; i < KERNGEN_SIZES; i++)
		put_frame(&s.frames[i], plan, plan->size != 0 ? plan->size : sizes[i]);
	for (unsigned int i = 0; i < KERNGEN_SIZES; i++)
		s.frames[i].cut = (int)(s.frames[KERNGEN_SIZES - 1].length - s.frames[i].length);
	return s;
}

static int program(struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

static int run(struct bpf_object *object, int ifindex, uint32_t length)
{
	static unsigned char data[4096];
	struct xdp_md context = {.data_end = length, .ingress_ifindex = (unsigned int)ifindex};

	while (!stopped) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data, .data_size_in = length,
			.ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = REPEAT,
			.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

		if (bpf_prog_test_run_opts(program(object, "make"), &options) != 0 &&
			errno != EINTR) {
			perror("kerngen: run");
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct kerngen_state s;
	struct plan plan;
	int ifindex, rc;
	__u32 key = 0;

	if (argc < 3 || parse(&plan, argv + 3) != 0) {
		fprintf(stderr, "usage: kerngen OBJECT IFNAME ARGUMENT=VALUE...\n");
		return 2;
	}
	ifindex = (int)if_nametoindex(argv[2]);
	s = state_of(&plan);
	object = bpf_object__open_file(argv[1], NULL);
	if (ifindex == 0 || object == NULL || bpf_object__load(object) != 0) {
		perror("kerngen: load");
		return 1;
	}
	bpf_map_update_elem(
		bpf_map__fd(bpf_object__find_map_by_name(object, "state")), &key, &s, BPF_ANY);
	if (bpf_xdp_attach(ifindex, program(object, "pass"), XDP_FLAGS_DRV_MODE, NULL) != 0) {
		perror("kerngen: attach");
		return 1;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	rc = run(object, ifindex, s.frames[s.imix ? KERNGEN_SIZES - 1 : 0].length);
	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	bpf_object__close(object);
	return rc;
}
