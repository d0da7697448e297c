/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/kernel_quiet.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "underlay/vxlan.h"

/* A socket that nobody reads is enough; with this filter nothing gets into it either. */
static void refuse_everything(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {1, &nothing};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_dual(struct sockaddr_storage *any, socklen_t *len)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)any;
	struct sockaddr_in *v4 = (struct sockaddr_in *)any;
	int no = 0, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(any, 0, sizeof(*any));
	if (fd >= 0) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
		*v6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons(VXLAN_PORT)};
		*len = sizeof(*v6);
		return fd;
	}
	*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(VXLAN_PORT)};
	*len = sizeof(*v4);
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void join_solicited_node(int fd, const char *ifname, const struct ip_addr *own6)
{
	struct ipv6_mreq group = {.ipv6mr_interface = if_nametoindex(ifname)};
	uint8_t *g = group.ipv6mr_multiaddr.s6_addr;

	if ((own6->q[0] | own6->q[1]) == 0)
		return;
	/* RFC 4291 2.7.1. Without IPv6 in the kernel on that interface it can not, and floods are all we hear. */
	g[0] = 0xff;
	g[1] = 0x02;
	g[11] = 0x01;
	g[12] = 0xff;
	memcpy(g + 13, own6->bytes + 13, 3);
	setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
}

static int quiet_fd = -1; /* open until the process ends */

void kernel_quiet(const char *ifname, const struct ip_addr *own6)
{
	struct sockaddr_storage any;
	socklen_t len;
	int yes = 1;

	if (quiet_fd < 0) {
		quiet_fd = open_dual(&any, &len);
		if (quiet_fd < 0)
			return;
		refuse_everything(quiet_fd);
		setsockopt(quiet_fd, IPPROTO_UDP, UDP_GRO, &yes, sizeof(yes));
		if (bind(quiet_fd, (struct sockaddr *)&any, len) != 0)
			log_warn(
				"UDP port 4789 is taken in the kernel: it may answer VXLAN packets",
				LOG_ERRNO(errno));
	}
	join_solicited_node(quiet_fd, ifname, own6);
}
