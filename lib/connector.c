// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/connector.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"
#include "lib/net.h"
#include "lib/tls.h"

#define HOST_TEXT 256
#define NAME_TEXT 256

struct connector {
	struct event_base *base;
	struct connector_options options;
	struct bufferevent *bev;
	struct evdns_base *dns;
	struct event *deadline;
	struct event *failed; /* reports a connect() that failed at once, from the event loop */
	int fail_errno;
	bool secure;  /* TLS follows */
	bool shaking; /* it has begun */
	char host[HOST_TEXT];
	char name[NAME_TEXT];
	const char *names[3]; /* that the certificate may bear */
};

void connector_free(struct connector *c)
{
	if (c == NULL)
		return;
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	if (c->dns != NULL)
		evdns_base_free(c->dns, 0);
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (c->failed != NULL)
		event_free(c->failed);
	free(c);
}

/* Nothing of it is touched afterwards: the callee may have freed it. */
static void end(struct connector *c, struct bufferevent *bev, const char *reason)
{
	event_del(c->deadline);
	event_del(c->failed);
	if (bev == NULL && c->bev != NULL)
		bufferevent_free(c->bev);
	c->bev = NULL;
	c->options.done(bev, reason, c->options.arg);
}

static void fail(struct connector *c, short what)
{
	char reason[512], why[448];
	int dns_error = c->secure && !c->shaking ? bufferevent_socket_get_dns_error(c->bev) : 0;

	if (c->shaking) {
		tls_why(c->bev, what, why, sizeof(why));
		snprintf(reason, sizeof(reason), "TLS: %s", why);
	} else if (dns_error != 0) {
		snprintf(reason, sizeof(reason), "%s: %s", c->host, evutil_gai_strerror(dns_error));
	} else {
		snprintf(reason, sizeof(reason), "%s", log_strerror(EVUTIL_SOCKET_ERROR()));
	}
	end(c, NULL, reason);
}

static void on_event(struct bufferevent *bev, short what, void *arg);

static void shake_hands(struct connector *c)
{
	evutil_socket_t fd = bufferevent_getfd(c->bev);

	/* The plain bufferevent lets go of its socket. */
	bufferevent_setfd(c->bev, -1);
	bufferevent_free(c->bev);
	c->bev = tls_open(c->options.tls, c->base, fd, c->names);
	if (c->bev == NULL) {
		end(c, NULL, log_strerror(ENOMEM));
		return;
	}
	c->shaking = true;
	bufferevent_setcb(c->bev, NULL, NULL, on_event, c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connector *c = arg;

	if ((what & BEV_EVENT_CONNECTED) == 0) {
		fail(c, what);
		return;
	}
	if (c->secure && !c->shaking) {
		jsonrpc_tcp_options(bufferevent_getfd(bev));
		shake_hands(c);
		return;
	}
	jsonrpc_tcp_options(bufferevent_getfd(bev));
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	end(c, bev, "");
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct connector *c = arg;

	(void)fd;
	(void)what;
	end(c, NULL, c->shaking ? "TLS: no handshake in time" : log_strerror(ETIMEDOUT));
}

static void on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct connector *c = arg;

	(void)fd;
	(void)what;
	end(c, NULL, log_strerror(c->fail_errno));
}

/* HOST:PORT; brackets are taken off. Returns the port, 0 for what is no such thing. */
static int split(const char *text, char *host, size_t size)
{
	const char *colon = strrchr(text, ':'), *end = colon;
	char *rest;
	unsigned long port;

	if (colon == NULL || colon == text)
		return 0;
	if (*text == '[' && colon[-1] == ']') {
		text++;
		end--;
	}
	port = strtoul(colon + 1, &rest, 10);
	if (*rest != '\0' || port > UINT16_MAX || (size_t)(end - text) >= size)
		return 0;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	return (int)port;
}

static int connect_name(struct connector *c, int port)
{
	/* It asks nobody, and keeps no loop going, while there is nothing to ask. */
	c->dns = evdns_base_new(c->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (c->dns == NULL)
		return -ENOMEM;
	/* Without the file: localhost is asked, and /etc/hosts. */
	evdns_base_resolv_conf_parse(c->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	return bufferevent_socket_connect_hostname(c->bev, c->dns, AF_UNSPEC, c->host, port) < 0
		       ? -errno
		       : 0;
}

static int connect_address(struct connector *c, const char *address)
{
	struct sockaddr_storage to;
	socklen_t len;
	int error = jsonrpc_address(address, &to, &len);

	if (error < 0)
		return error;
	if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&to, (int)len) < 0) {
		c->fail_errno = errno;
		event_active(c->failed, EV_TIMEOUT, 0);
	}
	return 0;
}

static int begin(struct connector *c, const char *address)
{
	char plain[HOST_TEXT + 80];
	struct net_addr literal;
	int port;

	if (!c->secure)
		return connect_address(c, address);
	port = split(address + strlen("tls://"), c->host, sizeof(c->host));
	if (port == 0)
		return -EINVAL;
	if (c->name[0] != '\0')
		c->names[0] = c->name;
	c->names[c->name[0] != '\0'] = c->host;
	if (!net_addr_parse(c->host, &literal))
		return connect_name(c, port);
	snprintf(plain, sizeof(plain), "tcp://%s", address + strlen("tls://"));
	return connect_address(c, plain);
}

int connector_start(struct connector **result, struct event_base *base, const char *address,
	const struct connector_options *options)
{
	struct timeval timeout = {.tv_sec = options->timeout_s};
	struct connector *c = calloc(1, sizeof(*c));
	int flags = BEV_OPT_CLOSE_ON_FREE, error = -ENOMEM;

	*result = NULL;
	if (c == NULL)
		return error;
	c->base = base;
	c->options = *options;
	c->secure = strncmp(address, "tls://", 6) == 0;
	snprintf(c->name, sizeof(c->name), "%s", options->name != NULL ? options->name : "");
	c->deadline = evtimer_new(base, on_deadline, c);
	c->failed = event_new(base, -1, 0, on_failed, c);
	if (c->secure) /* what ends in its callbacks may free the resolver, below which they would be */
		flags |= BEV_OPT_DEFER_CALLBACKS;
	c->bev = bufferevent_socket_new(base, -1, flags);
	if (c->secure && options->tls == NULL)
		error = -EINVAL;
	else if (c->deadline != NULL && c->failed != NULL && c->bev != NULL &&
		 event_add(c->deadline, &timeout) == 0)
		error = 0;
	if (error == 0) {
		/*
		 * Before connect(): a refusal at once is an event that libevent defers, and forgets when nobody is
		 * there to hear it. Any other failure at once is only a result.
		 */
		bufferevent_setcb(c->bev, NULL, NULL, on_event, c);
		error = begin(c, address);
	}
	if (error < 0)
		connector_free(c);
	else
		*result = c;
	return error;
}
