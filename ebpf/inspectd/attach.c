/* SPDX-License-Identifier: Apache-2.0 */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

/* Of our filters, beside whatever else is on the interface. */
#define TC_HANDLE 0x76
#define TC_PRIORITY 0x76

static uint32_t id_of(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/* Where the program that is attached is remembered: others' may not be looked at without CAP_SYS_ADMIN. */
static const char *memory_of(const struct programs *p, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/program_%s", p->pin, name);
	return path;
}

/* Is the XDP program of an interface one of ours, of this or an earlier run? */
static bool is_ours(const struct programs *p, const char *name, uint32_t id)
{
	char path[PATH_MAX];
	int fd = bpf_obj_get(memory_of(p, name, path));
	bool ours = id == id_of(programs_program(p, name)) || id == id_of(fd);

	if (fd >= 0)
		close(fd);
	return ours;
}

static void remember(const struct programs *p, const char *name)
{
	char path[PATH_MAX];

	unlink(memory_of(p, name, path));
	if (bpf_obj_pin(programs_program(p, name), path) < 0)
		log_warn("a program is not pinned: a restart will not know it",
			LOG_STR("path", path), LOG_ERRNO(errno));
}

static int attach_xdp(int ifindex, const struct programs *p, const char *name)
{
	uint32_t id = 0;
	int rc;

	if (bpf_xdp_query_id(ifindex, 0, &id) == 0 && id != 0 && !is_ours(p, name, id))
		return -EBUSY;
	rc = bpf_xdp_attach(ifindex, programs_program(p, name), 0, NULL);
	if (rc == 0)
		remember(p, name);
	return rc;
}

static int attach_tc(int ifindex, enum bpf_tc_attach_point point, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		.prog_fd = program, .flags = BPF_TC_F_REPLACE);
	int rc = bpf_tc_hook_create(&hook);

	if (rc < 0 && rc != -EEXIST)
		return rc;
	return bpf_tc_attach(&hook, &opts);
}

static int attach_feed(struct attachment *a, const struct programs *p, int ifindex)
{
	int rc = a->want_xdp ? attach_xdp(ifindex, p, "feed_xdp") : -ENOTSUP;

	a->mode = "xdp";
	if (rc == 0)
		return 0;
	a->mode = "tc";
	return attach_tc(ifindex, BPF_TC_INGRESS, programs_program(p, "feed_tc"));
}

static int attach_port(struct attachment *a, const struct programs *p, int ifindex)
{
	uint32_t key = (uint32_t)ifindex;
	struct sight_interface interface = {.vni = a->vni, .port = SIGHT_PORT_DIRECT | key};
	int rc = bpf_map_update_elem(programs_map(p, "interfaces"), &key, &interface, BPF_ANY);

	a->mode = a->want_xdp ? "xdp" : "tc";
	if (rc < 0)
		return -errno;
	/* XDP sees only what the port sends. */
	if (a->want_xdp)
		return attach_xdp(ifindex, p, "port_xdp");
	rc = attach_tc(ifindex, BPF_TC_INGRESS, programs_program(p, "port_tc_in"));
	if (rc == 0)
		rc = attach_tc(ifindex, BPF_TC_EGRESS, programs_program(p, "port_tc_out"));
	return rc;
}

static void say(struct attachment *a, int error)
{
	if (error != 0 && error != a->said)
		log_warn("an interface is not inspected", LOG_STR("ifname", a->ifname),
			LOG_ERRNO(error));
	if (error == 0)
		log_info("an interface is inspected", LOG_STR("ifname", a->ifname),
			LOG_STR("mode", a->mode));
	a->said = error;
}

void attach_check(struct attachment *a, const struct programs *p)
{
	int ifindex, rc;

	if (a->ifname[0] == '\0')
		return;
	ifindex = (int)if_nametoindex(a->ifname);
	if (ifindex == a->ifindex && ifindex != 0)
		return;
	a->ifindex = 0;
	if (ifindex == 0) {
		say(a, -ENODEV);
		return;
	}
	rc = a->feed ? attach_feed(a, p, ifindex) : attach_port(a, p, ifindex);
	if (rc == 0)
		a->ifindex = ifindex;
	say(a, rc);
}

void attach_look(struct attachment *a)
{
	if (a->ifindex != 0 && (int)if_nametoindex(a->ifname) != a->ifindex)
		a->ifindex = 0;
}

const char *attach_port_name(const struct attachment *ports, size_t n, uint32_t number)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i].ifindex != 0 &&
			number == (SIGHT_PORT_DIRECT | (uint32_t)ports[i].ifindex))
			return ports[i].port;
	return NULL;
}

static void detach_tc(int ifindex, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	bpf_tc_detach(&hook, &opts);
}

void attach_remove(struct attachment *a, const struct programs *p)
{
	uint32_t key = (uint32_t)a->ifindex, id = 0;

	if (a->ifindex == 0)
		return;
	bpf_map_delete_elem(programs_map(p, "interfaces"), &key);
	if (bpf_xdp_query_id(a->ifindex, 0, &id) == 0 && id != 0 &&
		is_ours(p, a->feed ? "feed_xdp" : "port_xdp", id))
		bpf_xdp_detach(a->ifindex, 0, NULL);
	detach_tc(a->ifindex, BPF_TC_INGRESS);
	detach_tc(a->ifindex, BPF_TC_EGRESS);
	a->ifindex = 0;
}
