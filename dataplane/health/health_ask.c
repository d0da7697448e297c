/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_ask.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip_text.h"
#include "health/health_answer.h"
#include "health/health_net.h"

#define UDP_QUESTION "vpc-health\n"
#define LATE_MAX 64 /* answers to earlier questions that are taken out of the way */

static void done(struct health_ask *a, enum health_outcome outcome, const char *reason)
{
	health_ask_stop(a);
	a->done(a, outcome, reason);
}

/* What an error number says about the other end, as people say it. */
static void failed(struct health_ask *a, int error)
{
	switch (error) {
	case ECONNREFUSED:
		done(a, HEALTH_OUTCOME_BAD,
			a->settings->type == HEALTH_UDP ? "port unreachable"
							: "connection refused");
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:
	case EADDRNOTAVAIL:
	case EPERM:
		done(a, HEALTH_NOT_ASKED, strerror(error));
		break;
	case EHOSTUNREACH:
		done(a, HEALTH_OUTCOME_BAD, "host unreachable");
		break;
	case ENETUNREACH:
		done(a, HEALTH_OUTCOME_BAD, "network unreachable");
		break;
	case ECONNRESET:
	case EPIPE:
		done(a, HEALTH_OUTCOME_BAD, "connection reset");
		break;
	default:
		done(a, HEALTH_OUTCOME_BAD, strerror(error));
	}
}

static void wait_for(struct health_ask *a, short what, event_callback_fn fn)
{
	struct event_base *base = event_get_base(&a->io);

	event_del(&a->io);
	event_assign(&a->io, base, a->fd, (short)(what | EV_PERSIST), fn, a);
	if (event_add(&a->io, NULL) < 0)
		failed(a, ENOMEM);
}

/* --- TCP, HTTP --- */

static enum health_verdict verdict_of(
	const struct health_ask *a, bool end, char *reason, size_t size)
{
	return a->settings->type == HEALTH_HTTP
		       ? health_http_answer(a->settings, a->data, a->len, end, reason, size)
		       : health_tcp_answer(a->settings, a->data, a->len, end, reason, size);
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct health_ask *a = arg;
	char reason[LB_REASON_MAX] = "";
	enum health_verdict verdict;
	ssize_t n = recv(fd, a->data + a->len, HEALTH_ANSWER_MAX - a->len, 0);

	(void)what;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			failed(a, errno);
		return;
	}
	a->len += (size_t)n;
	verdict = verdict_of(a, n == 0 || a->len == HEALTH_ANSWER_MAX, reason, sizeof(reason));
	if (verdict != HEALTH_MORE)
		done(a, verdict == HEALTH_GOOD ? HEALTH_OUTCOME_GOOD : HEALTH_OUTCOME_BAD, reason);
}

static ssize_t send_request(const struct health_ask *a)
{
	char request[HEALTH_TEXT_MAX + 256], host[NET_ADDR_TEXT + 16], text[NET_ADDR_TEXT];
	size_t len;

	ip_addr_format(&a->machine, text);
	snprintf(host, sizeof(host), ip_addr_is_v4(&a->machine) ? "%s:%u" : "[%s]:%u", text,
		a->port);
	len = health_http_request(a->settings, host, request, sizeof(request));
	return send(a->fd, request, len, MSG_NOSIGNAL);
}

static void connected(evutil_socket_t fd, short what, void *arg)
{
	struct health_ask *a = arg;
	bool http = a->settings->type == HEALTH_HTTP;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		failed(a, error);
	} else if (!http && a->settings->expect[0] == '\0') {
		done(a, HEALTH_OUTCOME_GOOD, "connected");
	} else if ((a->data = malloc(HEALTH_ANSWER_MAX)) == NULL) {
		failed(a, ENOMEM);
	} else if (http && send_request(a) < 0) {
		failed(a, errno);
	} else {
		wait_for(a, EV_READ, readable);
	}
}

/* --- UDP, ICMP --- */

static void udp_readable(evutil_socket_t fd, short what, void *arg)
{
	struct health_ask *a = arg;
	char data[2048];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	(void)what;
	if (n >= 0 && health_udp_answer(a->settings, data, (size_t)n))
		done(a, HEALTH_OUTCOME_GOOD, "answered");
	else if (n >= 0)
		done(a, HEALTH_OUTCOME_BAD, "answered without the expected text");
	else if (errno != EAGAIN && errno != EINTR)
		failed(a, errno);
}

static void udp_ask(struct health_ask *a)
{
	if (send(a->fd, UDP_QUESTION, strlen(UDP_QUESTION), 0) < 0)
		failed(a, errno);
	else
		wait_for(a, EV_READ, udp_readable);
}

/* The kernel's ping socket fills in identifier and checksum, and hands us only replies to it. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
	uint64_t nonce;
} __attribute__((packed));

static void echo_readable(evutil_socket_t fd, short what, void *arg)
{
	struct health_ask *a = arg;
	struct echo echo;
	ssize_t n = recv(fd, &echo, sizeof(echo), MSG_TRUNC);

	(void)what;
	if (n == sizeof(echo) && echo.nonce == a->nonce)
		done(a, HEALTH_OUTCOME_GOOD, "answered");
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		failed(a, errno);
}

static void echo_ask(struct health_ask *a)
{
	struct echo echo = {.type = ip_addr_is_v4(&a->check) ? 8 : 128};

	if (getrandom(&a->nonce, sizeof(a->nonce), 0) != (ssize_t)sizeof(a->nonce))
		a->nonce ^= (uintptr_t)a;
	echo.nonce = a->nonce;
	if (send(a->fd, &echo, sizeof(echo), 0) < 0)
		failed(a, errno);
	else
		wait_for(a, EV_READ, echo_readable);
}

/* --- All --- */

static int open_socket(const struct health_ask *a)
{
	/* Nobody waits for the end of a connection that was only looked at. */
	const struct linger at_once = {.l_onoff = 1};
	bool v6 = !ip_addr_is_v4(&a->check);
	int fd;

	switch (a->settings->type) {
	case HEALTH_UDP:
		return health_net_socket(v6, SOCK_DGRAM, IPPROTO_UDP);
	case HEALTH_ICMP:
		return health_net_socket(v6, SOCK_DGRAM, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	default:
		fd = health_net_socket(v6, SOCK_STREAM, IPPROTO_TCP);
		if (fd >= 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		return fd;
	}
}

static int connect_to(int fd, const struct ip_addr *addr, uint16_t port)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = rte_cpu_to_be_16(port)};
	struct sockaddr_in to4 = {.sin_family = AF_INET,
		.sin_port = rte_cpu_to_be_16(port),
		.sin_addr.s_addr = ip_addr_v4(addr)};
	bool v4 = ip_addr_is_v4(addr);

	memcpy(&to6.sin6_addr, addr->bytes, sizeof(to6.sin6_addr));
	return connect(fd, v4 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6,
		       v4 ? sizeof(to4) : sizeof(to6)) < 0
		       ? -errno
		       : 0;
}

static bool is_datagram(const struct health_ask *a)
{
	return a->settings->type == HEALTH_UDP || a->settings->type == HEALTH_ICMP;
}

/* What is left of the last question: late answers, an error that came behind one. */
static void forget_late(int fd)
{
	char byte;

	for (int i = 0; i < LATE_MAX; i++)
		if (recv(fd, &byte, sizeof(byte), 0) < 0 && errno == EAGAIN)
			break;
}

/* 0; 1: under way; -errno. */
static int open_connection(struct health_ask *a)
{
	int rc;

	if (a->fd >= 0) {
		forget_late(a->fd);
		return 0;
	}
	a->fd = open_socket(a);
	if (a->fd < 0) {
		rc = a->fd;
		a->fd = -1;
		return rc;
	}
	rc = connect_to(a->fd, &a->check, a->settings->type == HEALTH_ICMP ? 0 : a->port);
	if (rc < 0 && rc != -EINPROGRESS)
		health_ask_fini(a);
	return rc == -EINPROGRESS ? 1 : rc;
}

void health_ask_init(struct event_base *base, struct health_ask *a)
{
	event_assign(&a->io, base, -1, 0, NULL, NULL);
}

void health_ask_start(struct health_ask *a)
{
	int rc = open_connection(a);

	if (rc == 1)
		wait_for(a, EV_WRITE, connected);
	else if (rc < 0)
		failed(a, -rc);
	else if (a->settings->type == HEALTH_UDP)
		udp_ask(a);
	else if (a->settings->type == HEALTH_ICMP)
		echo_ask(a);
	else
		connected(a->fd, EV_WRITE, a);
}

void health_ask_stop(struct health_ask *a)
{
	event_del(&a->io);
	if (!is_datagram(a))
		health_ask_fini(a);
}

void health_ask_fini(struct health_ask *a)
{
	event_del(&a->io);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	free(a->data);
	a->data = NULL;
	a->len = 0;
}
