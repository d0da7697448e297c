/* SPDX-License-Identifier: Apache-2.0 */
/* The interface that the feed goes to. It is made when the first inspection comes, and stays: what is attached to it does, too. */
#include "inspect/inspect_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/config.h"
#include "core/rpc.h"
#include "port/ifconf.h"

#define MTU 9000

static int tap = -1;
static bool told;

/* A frame that it has no room for, or no carrier, is one that nobody looks at. */
static bool to_tap(const void *frame, size_t size)
{
	return write(tap, frame, size) == (ssize_t)size;
}

bool (*inspect_output)(const void *frame, size_t size) = to_tap;

static int make(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, node_config.inspect_ifname, sizeof(ifr.ifr_name) - 1);
	rc = ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
	if (rc == 0)
		rc = ifconf_set_mtu(node_config.inspect_ifname, MTU);
	if (rc == 0)
		rc = ifconf_set_up(node_config.inspect_ifname);
	if (rc < 0)
		close(fd);
	return rc < 0 ? rc : fd;
}

int inspect_tap_open(void)
{
	int fd;

	if (tap >= 0 || inspect_output != to_tap)
		return 0;
	fd = make();
	if (fd >= 0) {
		tap = fd;
		told = false;
		return 0;
	}
	if (!told)
		rpc_event("error", "node", node_config.node, "inspect_interface",
			"interface %s for inspection: %s: nothing is inspected",
			node_config.inspect_ifname, strerror(-fd));
	told = true;
	return fd;
}

const char *inspect_tap_name(void)
{
	return tap >= 0 ? node_config.inspect_ifname : NULL;
}
