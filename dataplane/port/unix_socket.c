/* SPDX-License-Identifier: Apache-2.0 */
#include "port/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int unix_socket_clear_stale(struct port *port, const struct sockaddr_un *addr, int type)
{
	const char *path = addr->sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : port_fail(port, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return port_fail(port, -EEXIST, "%s exists and is no socket", path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return port_fail(port, -errno, "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
	close(fd);
	if (rc != ECONNREFUSED)
		return port_fail(port, -EADDRINUSE, "%s is another program's socket", path);
	return unlink(path) < 0 && errno != ENOENT
		       ? port_fail(port, -errno, "%s: %s", path, strerror(errno))
		       : 0;
}
