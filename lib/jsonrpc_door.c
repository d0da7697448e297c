// SPDX-License-Identifier: Apache-2.0
/*
 * Strangers at the door of the JSON-RPC server: whoever connects by TLS, until the handshake has shown who it is.
 *
 * Nobody here may cost the known clients anything. An address has a number of seats, and of new ones a second; a handshake
 * has one deadline that no trickle of bytes puts off; when too many are under way the oldest, which most likely
 * makes us wait, gives its place to the newest.
 */
#include <errno.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/jsonrpc_server_internal.h"
#include "lib/tls.h"

/* How long who is refused may take to read why. */
#define FAREWELL_S 1
#define PEER_TEXT (NET_ADDR_TEXT + 8)

struct handshake {
	TAILQ_ENTRY(handshake) link;
	struct jsonrpc_door *door;
	struct bufferevent *bev; /* NULL: refused, and the alert is on its way: */
	struct event *farewell;  /* then waits until it has been read */
	int farewell_fd;
	struct event *deadline;
	struct address_limit_entry *seat;
	char peer[PEER_TEXT]; /* "192.0.2.9:40000" */
	char address[NET_ADDR_TEXT];
};

TAILQ_HEAD(handshake_list, handshake);

struct jsonrpc_door {
	struct jsonrpc_server *server;
	struct tls *tls;
	const char *const *clients;
	struct handshake_list handshakes; /* oldest first */
	unsigned count;
	struct log_limit log,
		crowd_log; /* whose fault it is is told even while a crowd is kept out */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct jsonrpc_door *jsonrpc_door_new(
	struct jsonrpc_server *server, struct tls *tls, const char *const *clients)
{
	const struct jsonrpc_limits *l = &server->options.limits;
	struct jsonrpc_door *door = calloc(1, sizeof(*door));

	if (door == NULL)
		return NULL;
	if (server->addresses == NULL)
		server->addresses =
			address_limit_new(l->address_clients, l->address_rate, 2 * l->address_rate);
	if (server->addresses == NULL) {
		free(door);
		return NULL;
	}
	door->server = server;
	door->tls = tls;
	door->clients = clients;
	door->log = (struct log_limit)LOG_LIMIT(20, 10);
	door->crowd_log = (struct log_limit)LOG_LIMIT(5, 10);
	TAILQ_INIT(&door->handshakes);
	return door;
}

static void handshake_free(struct handshake *h)
{
	if (h->bev != NULL)
		bufferevent_free(h->bev);
	if (h->farewell != NULL)
		event_free(h->farewell);
	if (h->farewell_fd >= 0)
		close(h->farewell_fd);
	if (h->deadline != NULL)
		event_free(h->deadline);
	if (h->seat != NULL)
		address_limit_leave(h->seat);
	TAILQ_REMOVE(&h->door->handshakes, h, link);
	h->door->count--;
	free(h);
}

void jsonrpc_door_free(struct jsonrpc_door *door)
{
	if (door == NULL)
		return;
	while (!TAILQ_EMPTY(&door->handshakes))
		handshake_free(TAILQ_FIRST(&door->handshakes));
	free(door);
}

static void say_refused(struct log_limit *limit, const char *peer, const char *reason)
{
	log_warn_limited(limit, "client refused", LOG_STR("peer", peer), LOG_STR("reason", reason));
}

/* ---- Refused: our alert must arrive, which it does not if we close with unread bytes ---- */

static void on_farewell(evutil_socket_t fd, short what, void *arg)
{
	char rest[16384];
	ssize_t n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);

	(void)what;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		handshake_free(arg);
}

static void say_farewell(struct handshake *h)
{
	struct timeval timeout = {.tv_sec = FAREWELL_S};

	h->farewell_fd = dup(bufferevent_getfd(h->bev));
	bufferevent_free(h->bev);
	h->bev = NULL;
	if (h->farewell_fd >= 0 && shutdown(h->farewell_fd, SHUT_WR) == 0)
		h->farewell = event_new(h->door->server->base, h->farewell_fd, EV_READ | EV_PERSIST,
			on_farewell, h);
	if (h->farewell == NULL || event_add(h->farewell, NULL) < 0 ||
		event_add(h->deadline, &timeout) < 0)
		handshake_free(h);
}

/* ---- The handshake ends ---- */

static void become_client(struct handshake *h)
{
	struct jsonrpc_server *server = h->door->server;
	char certificate[40], name[sizeof(certificate) + NET_ADDR_TEXT + 1];
	struct bufferevent *bev = h->bev;
	struct jsonrpc_conn *conn;

	snprintf(name, sizeof(name), "%s@%s", tls_peer_name(bev, certificate, sizeof(certificate)),
		h->address);
	log_info("client connected", LOG_STR("peer", h->peer), LOG_STR("certificate", certificate));
	h->bev = NULL;
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	conn = jsonrpc_server_adopt(server, bev, name);
	if (conn != NULL) {
		conn->seat = h->seat;
		h->seat = NULL;
	}
	handshake_free(h);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct handshake *h = arg;
	char why[384];

	if (what & BEV_EVENT_CONNECTED) {
		become_client(h);
		return;
	}
	say_refused(&h->door->log, h->peer, tls_why(bev, what, why, sizeof(why)));
	say_farewell(h);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct handshake *h = arg;

	(void)fd;
	(void)what;
	if (h->bev != NULL)
		say_refused(&h->door->log, h->peer, "no handshake in time");
	handshake_free(h);
}

/* ---- Somebody knocks ---- */

static struct net_addr address_of(const struct sockaddr *address, unsigned *port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		*port = ntohs(in6->sin6_port);
		return net_addr_from_bytes(NET_IPV4, in6->sin6_addr.s6_addr + 12);
	}
	if (address->sa_family == AF_INET6) {
		*port = ntohs(in6->sin6_port);
		return net_addr_from_bytes(NET_IPV6, &in6->sin6_addr);
	}
	*port = ntohs(in->sin_port);
	return net_addr_from_bytes(NET_IPV4, &in->sin_addr);
}

/* At once and without a trace: of those there may be many. */
static void slam(int fd)
{
	struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

static void make_room(struct jsonrpc_door *door)
{
	struct handshake *oldest = TAILQ_FIRST(&door->handshakes);

	if (door->count < door->server->options.limits.handshakes)
		return;
	if (oldest->bev != NULL)
		say_refused(&door->crowd_log, oldest->peer, "too slow while others wait");
	handshake_free(oldest);
}

static bool begin(struct handshake *h, int fd)
{
	struct jsonrpc_server *server = h->door->server;
	unsigned ms = server->options.limits.handshake_timeout_ms;
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	jsonrpc_tcp_options(fd);
	h->bev = tls_open(h->door->tls, server->base, fd, h->door->clients);
	h->deadline = evtimer_new(server->base, on_deadline, h);
	if (h->bev == NULL || h->deadline == NULL || event_add(h->deadline, &timeout) < 0)
		return false;
	bufferevent_setcb(h->bev, NULL, NULL, on_event, h);
	return true;
}

void jsonrpc_door_accept(struct jsonrpc_door *door, int fd, const struct sockaddr *address)
{
	struct address_limit_entry *seat;
	struct handshake *h;
	char text[NET_ADDR_TEXT], peer[PEER_TEXT];
	const char *why;
	unsigned port;
	struct net_addr from = address_of(address, &port);

	net_addr_format(&from, text);
	snprintf(peer, sizeof(peer), from.family == NET_IPV6 ? "[%s]:%u" : "%s:%u", text, port);
	seat = address_limit_enter(door->server->addresses, &from, now_ms(), &why);
	if (seat == NULL) {
		say_refused(&door->crowd_log, peer, why);
		slam(fd);
		return;
	}
	make_room(door);
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		address_limit_leave(seat);
		close(fd);
		return;
	}
	h->door = door;
	h->seat = seat;
	h->farewell_fd = -1;
	memcpy(h->peer, peer, sizeof(peer));
	memcpy(h->address, text, sizeof(text));
	TAILQ_INSERT_TAIL(&door->handshakes, h, link);
	door->count++;
	if (!begin(h, fd))
		handshake_free(h);
}
