/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_log/flow_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A connection whose other side acknowledges nothing for so long is given up. */
#define USER_TIMEOUT_MS 15000
#define KEEPALIVE_S 5
#define SEND_BUFFER (128 << 10)
/* A collector has nothing to say; one that says more stays unread. */
#define READS_MAX 8u

static int fail(struct flow_link *l, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct flow_link *l, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->reason, sizeof(l->reason), format, ap);
	va_end(ap);
	return error;
}

bool flow_link_parse(struct flow_link *l, const char *collector)
{
	const char *host = collector + 6, *colon = strrchr(collector, ':');
	size_t len;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (strncmp(collector, "file:/", 6) == 0) {
		l->type = FLOW_LINK_FILE;
		return (size_t)snprintf(l->path, sizeof(l->path), "%s", collector + 5) <
		       sizeof(l->path);
	}
	if (strncmp(collector, "udp://", 6) != 0 && strncmp(collector, "tcp://", 6) != 0)
		return false;
	l->type = *collector == 'u' ? FLOW_LINK_UDP : FLOW_LINK_TCP;
	if (colon <= host || strlen(colon + 1) >= sizeof(l->port))
		return false;
	len = (size_t)(colon - host);
	if (len > 2 && *host == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof(l->host))
		return false;
	memcpy(l->host, host, len);
	memcpy(l->port, colon + 1, strlen(colon + 1) + 1);
	return true;
}

/* ---- What was sent and may be lost ---- */

static void forget(struct flow_link *l, uint64_t acked)
{
	while (l->n_unacked > 0 && l->unacked[l->first].end <= acked) {
		l->first = (l->first + 1) % FLOW_LINK_UNACKED;
		l->n_unacked--;
	}
}

/* The bytes that the other side has acknowledged, the SYN, which counts as one, not among them. */
static uint64_t acked_bytes(const struct flow_link *l)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	return info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
}

static void remember(struct flow_link *l, size_t size, uint32_t records)
{
	unsigned int at;

	l->sent += size;
	if (l->n_unacked == FLOW_LINK_UNACKED / 2)
		forget(l, acked_bytes(l));
	if (l->n_unacked == FLOW_LINK_UNACKED) {
		l->unacked[(l->first + l->n_unacked - 1) % FLOW_LINK_UNACKED].end = l->sent;
		l->unacked[(l->first + l->n_unacked - 1) % FLOW_LINK_UNACKED].records += records;
		return;
	}
	at = (l->first + l->n_unacked++) % FLOW_LINK_UNACKED;
	l->unacked[at].end = l->sent;
	l->unacked[at].records = records;
}

static void count_unacked(struct flow_link *l)
{
	forget(l, acked_bytes(l));
	for (unsigned int i = 0; i < l->n_unacked; i++)
		l->lost += l->unacked[(l->first + i) % FLOW_LINK_UNACKED].records;
	l->n_unacked = 0;
}

void flow_link_close(struct flow_link *l)
{
	if (l->fd < 0)
		return;
	if (l->type == FLOW_LINK_TCP && !l->connecting)
		count_unacked(l);
	close(l->fd);
	l->fd = -1;
	l->connecting = false;
	l->sent = 0;
	l->last_records = 0;
}

/* ---- Opening ---- */

static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{SOL_SOCKET, SO_SNDBUF, SEND_BUFFER},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
	};

	for (unsigned int i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			sizeof(options[i].value));
}

/* 0: connected, 1: on its way. */
static int connect_to(struct flow_link *l, const struct addrinfo *a)
{
	int rc;

	l->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (l->fd < 0)
		return -errno;
	if (l->type == FLOW_LINK_TCP)
		set_options(l->fd);
	rc = connect(l->fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : -errno;
	l->connecting = rc == -EINPROGRESS;
	if (rc == 0 || l->connecting)
		return l->connecting;
	close(l->fd);
	l->fd = -1;
	return rc;
}

static int begin_connect(struct flow_link *l)
{
	struct addrinfo hints = {
		.ai_socktype = l->type == FLOW_LINK_UDP ? SOCK_DGRAM : SOCK_STREAM};
	struct addrinfo *list;
	int rc = getaddrinfo(l->host, l->port, &hints, &list);

	if (rc != 0)
		return fail(l, -EHOSTUNREACH, "%s: %s", l->host, gai_strerror(rc));
	rc = -EHOSTUNREACH;
	for (struct addrinfo *a = list; a != NULL && rc < 0; a = a->ai_next)
		rc = connect_to(l, a);
	freeaddrinfo(list);
	return rc < 0 ? fail(l, rc, "%s port %s: %s", l->host, l->port, strerror(-rc)) : rc;
}

/* 1: the connection is there. */
static int end_connect(struct flow_link *l)
{
	struct pollfd p = {l->fd, POLLOUT, 0};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, FLOW_LINK_WAIT_MS) <= 0)
		return fail(l, -EAGAIN, "%s port %s: no answer yet", l->host, l->port);
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
		flow_link_close(l);
		return fail(l, -error, "%s port %s: %s", l->host, l->port, strerror(error));
	}
	l->connecting = false;
	return 1;
}

static int open_file(struct flow_link *l)
{
	struct stat st;

	l->fd = open(l->path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		0640);
	if (l->fd < 0)
		return fail(l, -errno, "%.90s: %s", l->path, strerror(errno));
	if (fstat(l->fd, &st) == 0 && S_ISREG(st.st_mode))
		return 1;
	close(l->fd);
	l->fd = -1;
	return fail(l, -EINVAL, "%.90s: not a regular file", l->path);
}

int flow_link_open(struct flow_link *l)
{
	int rc;

	if (l->fd >= 0 && !l->connecting)
		return 0;
	if (l->type == FLOW_LINK_FILE) {
		rc = open_file(l);
	} else {
		rc = l->connecting ? 1 : begin_connect(l);
		if (rc == 1)
			rc = end_connect(l);
		else if (rc == 0)
			rc = 1;
	}
	if (rc == 1 && l->type != FLOW_LINK_UDP)
		l->reason[0] = '\0';
	return rc;
}

/* ---- Sending ---- */

/* With EINTR and short writes; what is sent in part is waited for. */
static int send_all(struct flow_link *l, const uint8_t *data, size_t size, size_t *done)
{
	struct pollfd p = {l->fd, POLLOUT, 0};
	ssize_t n;

	for (*done = 0; *done < size;) {
		n = send(l->fd, data + *done, size - *done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			*done += (size_t)n;
			continue;
		}
		if (errno == EAGAIN && *done == 0 && poll(&p, 1, FLOW_LINK_WAIT_MS) == 0)
			return -EAGAIN;
		/* Half a message is in: the rest must follow, however slow. USER_TIMEOUT_MS ends it. */
		if (errno == EAGAIN && *done != 0)
			atomic_store(&l->stuck, poll(&p, 1, FLOW_LINK_WAIT_MS) == 0);
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

static int send_tcp(struct flow_link *l, const void *data, size_t size, uint32_t records)
{
	size_t done;
	int rc = send_all(l, data, size, &done);

	atomic_store(&l->stuck, false);
	if (rc == 0) {
		remember(l, size, records);
		return 0;
	}
	if (rc == -EAGAIN)
		return fail(l, rc, "%s port %s: takes nothing at the moment", l->host, l->port);
	flow_link_close(l);
	return fail(l, rc, "%s port %s: %s", l->host, l->port, strerror(-rc));
}

static void refused(struct flow_link *l, int error)
{
	l->lost += l->last_records;
	l->last_records = 0;
	l->refused = true;
	fail(l, 0, "%s port %s: %s", l->host, l->port, strerror(error));
}

/* An error is the last message's: nobody listens there. This one is sent all the same. */
static int send_udp(struct flow_link *l, const void *data, size_t size, uint32_t records)
{
	ssize_t n = send(l->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	int error = n < 0 ? errno : 0;

	if (error == ECONNREFUSED) {
		refused(l, error);
		n = send(l->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else if (n >= 0) {
		/* Taken, and nobody has refused the one before either. */
		if (!l->refused)
			l->reason[0] = '\0';
		l->refused = false;
	}
	if (n < 0) {
		error = errno;
		return fail(l, -error, "%s port %s: %s", l->host, l->port, strerror(error));
	}
	l->last_records = records;
	return 0;
}

/* All of it or, on a full disk, nothing. */
static int write_file(struct flow_link *l, const uint8_t *data, size_t size)
{
	off_t before = lseek(l->fd, 0, SEEK_END);
	size_t done = 0;
	ssize_t n;
	int error;

	while (done < size) {
		n = write(l->fd, data + done, size - done);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		error = n < 0 ? errno : EIO;
		if (error == EINTR)
			continue;
		if (done > 0 && before >= 0)
			(void)!ftruncate(l->fd, before);
		flow_link_close(l);
		return fail(l, -error, "%.90s: %s", l->path, strerror(error));
	}
	return 0;
}

int flow_link_send(struct flow_link *l, const void *data, size_t size, uint32_t records)
{
	switch (l->type) {
	case FLOW_LINK_UDP:
		return send_udp(l, data, size, records);
	case FLOW_LINK_TCP:
		return send_tcp(l, data, size, records);
	default:
		return write_file(l, data, size);
	}
}

/* A collector sends nothing: what can be read is the connection's end. */
void flow_link_check(struct flow_link *l)
{
	unsigned int reads = 0;
	char byte[256];
	ssize_t n;
	int error;

	if (l->fd < 0 || l->connecting || l->type == FLOW_LINK_FILE)
		return;
	do
		n = recv(l->fd, byte, sizeof(byte), MSG_DONTWAIT);
	while (n > 0 && ++reads < READS_MAX);
	if (n > 0)
		return;
	error = n < 0 ? errno : ECONNRESET;
	if (n < 0 && (error == EAGAIN || error == EINTR))
		return;
	if (l->type == FLOW_LINK_UDP) {
		if (n < 0)
			refused(l, error);
		return;
	}
	flow_link_close(l);
	fail(l, 0, "%s port %s: %s", l->host, l->port,
		n == 0 ? "has closed the connection" : strerror(error));
}
