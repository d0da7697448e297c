/* SPDX-License-Identifier: Apache-2.0 */
#include "port/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS);
 * Six instructions are shorter than a compiler for them; nothing here depends on the running kernel. */
static int load(int map_fd)
{
	const struct bpf_insn code[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W,
			.dst_reg = BPF_REG_2,
			.src_reg = BPF_REG_1,
			.off = offsetof(struct xdp_md, rx_queue_index)},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
			.dst_reg = BPF_REG_1,
			.src_reg = BPF_PSEUDO_MAP_FD,
			.imm = map_fd},
		{0}, /* its second half */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "vpc_xsk", "Apache-2.0", code, RTE_DIM(code), NULL);
}

static int link_to(const struct xdp *xdp, int ifindex, uint32_t mode)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);

	return bpf_link_create(xdp->prog_fd, ifindex, BPF_XDP, &opts);
}

static int explain(struct port *port, int error, const char *ifname)
{
	switch (error) {
	case -EBUSY:
	case -EEXIST:
		return port_fail(
			port, error, "%s has another XDP program; detach it first", ifname);
	case -EPERM:
		return port_fail(port, error,
			"XDP on %s: %s (needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF)", ifname,
			strerror(-error));
	case -ERANGE:
		return port_fail(port, error,
			"XDP on %s: the MTU of the interface or of its peer is too large", ifname);
	case -ENOSPC:
		return port_fail(port, error,
			"XDP on %s: its peer sends on more queues than it receives on", ifname);
	default:
		return port_fail(port, error, "XDP on %s: %s", ifname, strerror(-error));
	}
}

static int make(struct xdp *xdp, uint32_t n_queues)
{
	xdp->map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "vpc_xsks", sizeof(uint32_t),
		sizeof(uint32_t), n_queues, NULL);
	if (xdp->map_fd < 0)
		return xdp->map_fd;
	xdp->prog_fd = load(xdp->map_fd);
	return xdp->prog_fd < 0 ? xdp->prog_fd : 0;
}

static void close_all(struct xdp *xdp)
{
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	if (xdp->prog_fd >= 0)
		close(xdp->prog_fd);
	if (xdp->map_fd >= 0)
		close(xdp->map_fd);
}

int xdp_attach(
	struct port *port, struct xdp *xdp, int ifindex, const char *ifname, uint32_t n_queues)
{
	uint32_t other = 0;
	int rc;

	*xdp = (struct xdp){-1, -1, -1};
	/* What it would print is in our reason. */
	libbpf_set_print(NULL);
	if (bpf_xdp_query_id(ifindex, 0, &other) == 0 && other != 0)
		return port_fail(port, -EBUSY,
			"%s has another XDP program (id %u); detach it first", ifname, other);
	rc = make(xdp, n_queues);
	if (rc == 0) {
		xdp->link_fd = link_to(xdp, ifindex, XDP_FLAGS_DRV_MODE);
		if (xdp->link_fd == -EOPNOTSUPP)
			xdp->link_fd = link_to(xdp, ifindex, XDP_FLAGS_SKB_MODE);
		rc = RTE_MIN(xdp->link_fd, 0);
	}
	if (rc < 0) {
		close_all(xdp);
		return explain(port, rc, ifname);
	}
	return 0;
}

void xdp_detach(struct xdp *xdp)
{
	/* At once, whoever else may hold the link. */
	bpf_link_detach(xdp->link_fd);
	close_all(xdp);
}
